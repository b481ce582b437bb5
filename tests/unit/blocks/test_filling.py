"""Values of parameters in prompts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.blocks.filling import fill_template
from sdg_prefect.blocks.templates import TemplateProblem, find_constants, render


def test_a_parameter_becomes_the_value_itself() -> None:
    assert fill_template("Be {{ parameters.tone }}: {{ a }}", {"tone": 'a "b"'}) == 'Be {{ "a \\"b\\"" }}: {{ a }}'
    assert render(fill_template("{{ parameters.tone }}", {"tone": 'a "b"\n{{ c }} é🦜'}), {}) == 'a "b"\n{{ c }} é🦜'


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% if parameters.deep %}d{% else %}s{% endif %}", "d"),
        ("{% for one in parameters['topics'] %}{{ one }};{% endfor %}", "x;y;"),
        ("{{ parameters . least + 1 }}", "-1"),
        ("{{ parameters.nothing }}", "None"),
        ("{%- set a = parameters.least -%} {{ a }}", "-2"),
        (
            "{{ a.parameters }} parameters.deep {% raw %}{{ parameters.deep }}{% endraw %}",
            "inner parameters.deep {{ parameters.deep }}",
        ),
    ],
)
def test_it_may_stand_wherever_a_value_may(template: str, text: str) -> None:
    values = {"deep": True, "topics": ["x", "y"], "least": -2, "nothing": None}
    assert render(fill_template(template, values), {"a": {"parameters": "inner"}}).strip() == text


def test_a_prompt_without_parameters_stays_as_it_is() -> None:
    assert fill_template("{{ a }}\n", {"tone": "x"}) == "{{ a }}\n"


def test_what_all_rows_share_is_still_known() -> None:
    filled = fill_template("Be {{ parameters.tone }}. {{ a }}", {"tone": "kind"})
    assert find_constants(filled).start == "Be kind. "


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n{{ parameters.tome }}", "there is no parameter 'tome'. Did you mean 'tone'"),
        ("\n{{ parameters }}", "a parameter is written parameters.NAME"),
    ],
)
def test_a_parameter_that_is_not_there_is_told_with_its_line(template: str, message: str) -> None:
    with pytest.raises(TemplateProblem, match=message) as raised:
        fill_template(template, {"tone": "x"})
    assert raised.value.line == 2


@given(
    st.recursive(st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)), st.lists)
)
def test_every_value_arrives_as_it_is(value: object) -> None:
    assert render(fill_template("{{ parameters.x == y }}", {"x": value}), {"y": value}) == "True"
