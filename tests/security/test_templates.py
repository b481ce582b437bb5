"""Templates stay in their sandbox and come to an end, wherever they are rendered."""

from __future__ import annotations

import re
import resource
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from jinja2 import TemplateError
from pydantic import ValidationError

from sdg_prefect.blocks import Block
from sdg_prefect.blocks.computed import ComputeColumn
from sdg_prefect.blocks.conditions import as_condition, judge
from sdg_prefect.blocks.conversations import HoldConversation
from sdg_prefect.blocks.filling import fill_template
from sdg_prefect.blocks.format_messages import FormatMessages
from sdg_prefect.blocks.templates import TemplateProblem, find_variables, render
from sdg_prefect.blocks.turns import Turn
from sdg_prefect.spec.reader import scan_flow
from sdg_prefect.testing import run_block
from tests.security.auditing import REACHES_OUT, STARTS, UNPICKLES, audited
from tests.security.escapes import BOMBS, HARMLESS, KNOWN, LOOPS, ROW, walks

_LEAK = re.compile(
    r"<(class|function|method|built-in|module|frame|code|bound|slot|generator|async|coroutine|cell|traceback)|at 0x"
)
"""What Python says of things that are no values of a row."""
_MEGABYTES = 600
"""A template may have a text of 100 million characters, in two places at a time, and Python some of its own."""


class Refused(Exception):
    """A template was not rendered, and somebody was told why."""


def in_prompt(template: str, row: dict[str, Any]) -> str:
    """Render it as a prompt."""
    try:
        find_variables(template)
        return render(template, row)
    except (TemplateProblem, TemplateError) as error:
        raise Refused(str(error)) from error


def in_condition(template: str, row: dict[str, Any]) -> str:
    """Ask it of a row, as ``when`` and ``until`` do."""
    expression = template.removeprefix("{{").removesuffix("}}").strip()
    try:
        condition = as_condition(f"({expression}) == 'x'")
    except ValueError as error:
        raise Refused(str(error)) from error
    verdicts = judge(condition, pa.Table.from_pylist([row]))
    if verdicts.failures:
        raise Refused(verdicts.failures[0])
    return ""


def _with_block(make: Callable[[str], Block]) -> Callable[[str, dict[str, Any]], str]:
    def rendered(template: str, row: dict[str, Any]) -> str:
        try:
            block = make(template)
        except ValidationError as error:
            raise Refused(str(error)) from error
        done = run_block(block, [row], ["a reply"] * 9)
        if done.rejects:
            raise Refused(done.rejects[0].message)
        return " ".join(str(value) for made in done.rows for value in made.values()) + "".join(done.prompts)

    return rendered


PLACES: dict[str, Callable[[str, dict[str, Any]], str]] = {
    "a prompt": in_prompt,
    "a computed column": _with_block(lambda text: ComputeColumn(block_name="b", output_col="made", template=text)),
    "a message": _with_block(lambda text: FormatMessages(block_name="b", turns=(Turn(role="user", content=text),))),
    "a conversation": _with_block(
        lambda text: HoldConversation(block_name="b", model_id="m", user_model_id="n", user_system=text, system=text, turns=1)
    ),
}


def rendered(place: Callable[[str, dict[str, Any]], str], templates: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Render templates; return how many were tried, and what came of those that nobody refused."""
    made, count, told = dict[str, str](), 0, dict[str, str]()
    with audited(*STARTS, *UNPICKLES, *REACHES_OUT) as seen:
        for template in templates:
            count += 1
            row = deepcopy(ROW)
            try:
                made[template] = place(template, row)
            except Refused as refusal:
                told[template] = str(refusal)
            assert row == ROW, f"{template} changed the row"
    assert seen == []
    assert [template for template, why in told.items() if _LEAK.search(why)] == []
    return count, made


def test_no_walk_from_any_object_to_any_attribute_leads_anywhere(tried: Callable[[str, int], None]) -> None:
    templates = [f"{{{{ {walk} }}}}" for walk in walks()]
    for name, place, some in (("walks in prompts", in_prompt, templates), ("walks in conditions", in_condition, templates[::5])):
        count, made = rendered(place, some)
        assert {template: text for template, text in made.items() if _LEAK.search(text)} == {}
        tried(name, count)
    assert len(templates) > 2_500


@pytest.mark.parametrize("place", PLACES)
def test_published_escapes_are_refused_wherever_a_template_stands(place: str, tried: Callable[[str, int], None]) -> None:
    count, made = rendered(PLACES[place], KNOWN)
    assert made == {}
    tried(f"published escapes in {place}", count)


def test_what_only_looks_like_an_escape_is_text() -> None:
    assert {template: render(template, ROW) for template, _ in HARMLESS} == dict(HARMLESS)


@pytest.mark.parametrize("place", [in_prompt, in_condition])
def test_no_expression_fills_the_memory(place: Callable[[str, dict[str, Any]], str], tried: Callable[[str, int], None]) -> None:
    _refused_at_once(place, [f"{{{{ {bomb} }}}}" for bomb in BOMBS])
    tried(f"bombs {place.__name__.replace('_', ' a ')}", len(BOMBS))


def test_no_loop_goes_on_for_ever(tried: Callable[[str, int], None]) -> None:
    _refused_at_once(in_prompt, LOOPS)
    tried("loops in a prompt", len(LOOPS))


def _refused_at_once(place: Callable[[str, dict[str, Any]], str], templates: Iterable[str]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for template in templates:
        started = time.thread_time()
        _, made = rendered(place, [template])
        assert not made, template[:200]
        assert time.thread_time() - started < 8, template[:200]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < _MEGABYTES * 1024


def test_long_documents_and_long_loops_are_no_bombs() -> None:
    row = {"text": "word " * 400_000, "items": list(range(50_000))}
    assert len(render("{{ text|replace(' ', '  ')|trim }}", row)) > 2_000_000
    assert render("{% for item in items %}{% if loop.last %}{{ item }} of {{ loop.length }}{% endif %}{% endfor %}", row)
    assert judge("text|length > 5 and 'word' in text", pa.Table.from_pylist([row])).holds.tolist() == [True]


def test_values_of_parameters_and_rows_are_never_templates() -> None:
    payloads = ["{{ 7 * 7 }}", "'}}{{ 7 * 7 }}{{'", '"}}{{ 7 * 7 }}{{"', "{% for x in y %}", "\\", "{#", "}}"]
    for payload in payloads:
        assert render(fill_template("{{ parameters.tone }}", {"tone": payload}), {}) == payload
        assert render(fill_template("{{ parameters.tones|join }}", {"tones": [payload]}), {}) == payload
        assert render("{{ text }}", {"text": payload}) == payload
        assert PLACES["a computed column"]("{{ text }}", {"text": payload}) == f"{payload} {payload}"


def test_check_tells_of_an_escape_in_every_key_that_takes_a_template(tmp_path: Path) -> None:
    escape = "''.__class__.__mro__"
    (tmp_path / "prompt.yaml").write_text(f"generation: |\n  {{{{ {escape} }}}}\n")
    (tmp_path / "flow.yaml").write_text(f"""
models: {{teacher: simulated/teacher}}
blocks:
- block_type: LLMBlock
  block_config: {{block_name: a, config_path: prompt.yaml, model_id: teacher, output_cols: [x]}}
- block_type: ComputeColumn
  block_config: {{block_name: b, output_col: y, template: "{{{{ {escape} }}}}"}}
- block_type: DuplicateColumns
  block_config: {{block_name: c, columns_map: {{x: z}}}}
  when: "{escape} == 1"
- block_type: BranchBlock
  block_config:
    block_name: d
    branches: [{{name: one, when: "{escape} == 1", blocks: [{{block_type: DropDuplicates, block_config: {{block_name: e, columns: [x]}}}}]}}]
- block_type: RepeatBlock
  block_config:
    block_name: f
    until: "{escape} == 1"
    max_rounds: 2
    blocks: [{{block_type: DuplicateColumns, block_config: {{block_name: g, columns_map: {{x: w}}}}}}]
""")
    problems = [str(problem) for problem in scan_flow(tmp_path / "flow.yaml").errors]
    assert len(problems) == 5, problems
    assert all("__class__" in problem or "__mro__" in problem for problem in problems), problems
