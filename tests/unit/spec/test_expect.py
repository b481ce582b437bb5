"""``expect:`` in a flow file: what is wrong with it is told with its line, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.errors import FlowError

FLOW = """\
expect:
{expect}
blocks:
- block_type: DuplicateColumns
  block_config: {{block_name: copy, columns_map: {{text: copied}}}}
"""


def problems(folder: Path, expect: str) -> list[str]:
    """Check a flow that expects something, and return what is wrong."""
    (folder / "flow.yaml").write_text(FLOW.format(expect=expect))
    (folder / "seeds.jsonl").write_text('{"text": "a"}\n')
    try:
        prepare(RunOptions(flow=folder / "flow.yaml", input=str(folder / "seeds.jsonl")))
    except FlowError as error:
        return [str(problem).removeprefix(f"{folder}/") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("expect", "line", "says"),
    [
        ("  acept_rate: {min: 0.5}", 2, "'expect': unknown key 'acept_rate'. Did you mean 'accept_rate'?"),
        ("  accept_rate: {mn: 0.5}", 2, "'expect': unknown key 'accept_rate.mn'. Did you mean 'min'?"),
        ("  accept_rate: {min: 2}", 2, "'expect': 'accept_rate.min' has to be at most 1, not 2."),
        ("  accept_rate: {min: 0.5, action: wran}", 2, "'expect': 'accept_rate.action' cannot be 'wran'. Did you mean 'warn'?"),
        ("  drift: {max: 0.1}\n  length: {column: copid, min: 1}", 3, "'expect' looks at the column 'copid'"),
        ("  length:\n  - {column: copied, min: 1}\n  - {column: copied}", 4, "give it 'min', 'max' or both."),
        (
            "  contamination: {columns: [text], against: seds.jsonl}",
            2,
            "the file 'seds.jsonl' does not exist. Did you mean 'seeds.jsonl'?",
        ),
        ("  [accept_rate]", 1, "'expect': has to be a mapping, not a list."),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, expect: str, line: int, says: str) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"text": "a"}\n')
    (found,) = problems(tmp_path, expect)
    assert found.startswith(f"flow.yaml:{line} ")
    assert says in found


def test_gates_at_a_block_are_read_and_their_columns_are_those_after_it(tmp_path: Path) -> None:
    block = "- block_type: RenameColumns\n  block_config: {{block_name: r, columns_map: {{text: t}}}}\n  expect: {{length: {{column: {column}, min: 1}}}}\n"
    (tmp_path / "seeds.jsonl").write_text('{"text": "a"}\n')
    options = RunOptions(flow=tmp_path / "flow.yaml", input=str(tmp_path / "seeds.jsonl"))
    (tmp_path / "flow.yaml").write_text(block.format(column="t"))
    (step,) = prepare(options).plan.steps()
    assert [kind for kind, _ in step.expect.gates()] == ["length"]
    (tmp_path / "flow.yaml").write_text(block.format(column="text"))
    with pytest.raises(FlowError, match="'expect' looks at the column 'text'"):
        prepare(options)


def test_what_is_expected_changes_no_key(tmp_path: Path) -> None:
    assert problems(tmp_path, "  accept_rate: {min: 0.5}") == []
    options = RunOptions(flow=tmp_path / "flow.yaml", input=str(tmp_path / "seeds.jsonl"))
    one = [step.key for step in prepare(options).plan.steps()]
    assert problems(tmp_path, "  accept_rate: {min: 0.9}") == []
    assert [step.key for step in prepare(options).plan.steps()] == one
