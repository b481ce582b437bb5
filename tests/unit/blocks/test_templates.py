"""Prompt templates: what they take from a row, and what the sandbox keeps from them."""

from __future__ import annotations

from typing import Any

import pytest
from jinja2 import TemplateError

from sdg_prefect.blocks.templates import TemplateProblem, find_variables, render

ROW: dict[str, Any] = {"text": "x", "items": [1, 2], "doc": {"title": "t", "_id": 7}, "none": None, "number": 3}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ text }} {{ none }} {{ missing }}.", "x None ."),
        ("{{ doc.title }}{{ doc['title'] }}", "tt"),
        ("{{ doc._id }}{{ doc['_id'] }}", "77"),
        ("{{ items|join('+') }}{{ items[0] + number * 2 }}", "1+27"),
        ("{{ 'ab' * 3 }}", "ababab"),
        ("{% for item in items %}{{ loop.index }}:{{ item }} {% endfor %}", "1:1 2:2 "),
        ("{% if none %}a{% else %}b{% endif %}", "b"),
        ("{{ '%s-%s'|format(text, number) }}", "x-3"),
        ("{{ doc|tojson }}", '{"_id": 7, "title": "t"}'),
        ("{# a comment #}{% raw %}{{ text }}{% endraw %}", "{{ text }}"),
        ("{ {text} }", "{ {text} }"),
    ],
)
def test_what_prompts_need_works(template: str, text: str) -> None:
    assert render(template, ROW) == text


@pytest.mark.parametrize(
    "template",
    ["{{ missing.part }}", "{{ text + 1 }}", "{{ 1 / (number - 3) }}", "{{ text|dictsort }}", "{{ '%(a)s'|format(b=1) }}",
     "{{ '{}'.format() }}", "{{ none.x.y }}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_a_template_error(template: str) -> None:
    with pytest.raises(TemplateError):
        render(template, ROW)


@pytest.mark.parametrize(
    ("template", "needed", "optional"),
    [
        ("{{ a }} {{ b.c }} {{ d[e] }}", {"a", "b", "d", "e"}, set()),
        ("{% for x in items %}{{ x }}{{ loop.index }}{% endfor %}", {"items"}, set()),
        ("{% set x = a %}{{ x }}", {"a"}, set()),
        ("{{ range(3) }}{{ dict(a=b) }}", {"b"}, set()),
        ("{% if a %}{{ a }}{% endif %}", set(), {"a"}),
        ("{{ a if a else b }}", {"b"}, {"a"}),
        ("{{ a|default('') }}{{ b is defined }}", set(), {"a", "b"}),
        ("{% raw %}{{ a }}{% endraw %}{# {{ b }} #}", set(), set()),
        ("no variables", set(), set()),
    ],
)
def test_the_variables_of_a_template_are_known(template: str, needed: set[str], optional: set[str]) -> None:
    found = find_variables(template)
    assert (set(found.needed), set(found.optional)) == (needed, optional)


@pytest.mark.parametrize(
    ("template", "line", "message"),
    [
        ("a\n{{ b", 2, "the template is wrong"),
        ("{% if a %}", 1, "the template is wrong"),
        ("a\n{{ the text }}", 2, "A name between braces has no spaces: give the column another one with 'RenameColumns' first"),
        ("\n\n{{ a|nosuch }}", 3, "there is no filter 'nosuch'"),
        ("{% if a is nosuch %}{% endif %}", 1, "there is no test 'nosuch'"),
        ("x\n{{ a.__class__ }}", 2, "reaches for '__class__'"),
        ("{% include 'a' %}", 1, "cannot include"),
    ],
)
def test_a_wrong_template_is_a_problem_with_its_line(template: str, line: int, message: str) -> None:
    with pytest.raises(TemplateProblem, match=message) as caught:
        find_variables(template)
    assert caught.value.line == line
