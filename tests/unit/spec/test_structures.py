"""Conditions, branches, repetitions and includes: what is read of them, how columns go through, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import read_flow, scan_flow
from sdg_prefect.spec.tracking import Tracking, track_columns
from tests.flows import copy


def branches(*ways: str, more: str = "") -> str:
    """Write a BranchBlock of which each branch copies columns: ``condition: source target ...``."""
    text = f"- block_type: BranchBlock\n  block_config:\n    block_name: route\n{more}    branches:\n"
    for way in ways:
        condition, _, columns = way.partition(":")
        text += f"    - when: {condition}\n      blocks:\n" if condition else "    - blocks:\n"
        names = columns.split()
        text += "".join(
            f"      {line}\n" for one in zip(names[::2], names[1::2], strict=True) for line in copy(*one).splitlines()
        )
    return text


def repeat(until: str, *columns: str, rounds: int = 3, drops: str = "") -> str:
    """Write a RepeatBlock whose pipeline copies columns."""
    head = f"- block_type: RepeatBlock\n  block_config:\n    block_name: refine\n    until: {until}\n    max_rounds: {rounds}\n    blocks:\n"
    blocks = "".join(f"    {line}\n" for one in zip(columns[::2], columns[1::2], strict=True) for line in copy(*one).splitlines())
    return head + blocks + (f"      drop_columns: [{drops}]\n" if drops else "")


def read(folder: Path, text: str, **files: str) -> FlowSpec:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    return read_flow(folder / "flow.yaml")


def track(folder: Path, text: str, seeds: tuple[str, ...] | None = ("a",)) -> Tracking:
    return track_columns(read(folder, text), seeds)


def told(tracking: Tracking) -> list[str]:
    return [f"{problem.line} {problem.message}" for problem in tracking.problems]


def problems(folder: Path, text: str, **files: str) -> list[str]:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    return [f"{one.line} {one.message} {one.hint}".rstrip() for one in scan_flow(folder / "flow.yaml").problems]


def test_a_condition_stands_beside_a_block(tmp_path: Path) -> None:
    (item,) = read(tmp_path, f"{copy('a', 'b')}  when: a > 1\n").pipelines[0].items
    assert item.when == "a > 1"
    assert read(tmp_path, f"{copy('a', 'b')}  when: false\n").pipelines[0].items[0].when == "false"


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("a = 1", "3 'when': the condition 'a = 1' is wrong"),
        ("3", "3 'when': has to be an expression"),
        ("", "3 'when': has to be an expression"),
    ],
)
def test_a_wrong_condition_is_told_with_its_line(tmp_path: Path, when: str, message: str) -> None:
    (found,) = problems(tmp_path, f"{copy('a', 'b')}  when: {when}\n")
    assert found.startswith(message)


def test_a_condition_in_the_configuration_is_told_to_stand_beside_it(tmp_path: Path) -> None:
    text = "- block_type: DuplicateColumns\n  block_config: {block_name: x, columns_map: {a: b}, when: a}\n"
    assert problems(tmp_path, text) == ["2 block 'x': unknown field 'when'. 'when' stands beside 'block_config', not in it."]


def test_the_columns_of_a_condition_have_to_be_there(tmp_path: Path) -> None:
    assert told(track(tmp_path, f"{copy('a', 'b')}  when: aa > 1\n")) == [
        "3 block 'copy': 'when' looks at the column 'aa', which no block before writes and the seeds do not have."
    ]
    tracking = track(tmp_path, f"{copy('a', 'b')}  when: score > 1 and extra is defined\n", None)
    assert (tracking.problems, list(tracking.seeds)) == ([], ["score", "a"])


def test_rows_that_pass_by_keep_what_the_block_takes_away(tmp_path: Path) -> None:
    text = "- block_type: RenameColumns\n  block_config: {block_name: x, columns_map: {a: b}}\n  when: a > 1\n"
    tracking = track(tmp_path, text)
    assert tracking.output.names == ("a", "b")
    assert told(tracking) == ["3 block 'x' takes away 'a' where 'when' holds; other rows keep it."]


def test_branches_give_all_columns_that_some_row_has(tmp_path: Path) -> None:
    text = branches("a == 1: a b", "a == 2: a c c d", ": a e")
    tracking = track(tmp_path, text)
    assert (tracking.problems, tracking.output.names) == ([], ("a", "b", "c", "d", "e"))


def test_a_column_is_gone_after_branches_only_if_all_drop_it(tmp_path: Path) -> None:
    dropping = branches("a == 1: a b", ": a c").replace(
        "columns_map: {a: b}}\n", "columns_map: {a: b}}\n        drop_columns: [a]\n"
    )
    assert track(tmp_path, dropping).output.names == ("a", "b", "c")
    both = dropping.replace("columns_map: {a: c}}\n", "columns_map: {a: c}}\n        drop_columns: [a]\n")
    assert told(track(tmp_path, both + copy("a", "z"))) == [
        "15 block 'copy' reads the column 'a', which is gone after block 'route'."
    ]


def test_one_branch_does_not_see_what_another_writes(tmp_path: Path) -> None:
    (found,) = told(track(tmp_path, branches("a == 1: a b", ": b c")))
    assert "reads the column 'b', which no block before writes" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (branches(": a b", "a == 2: a c"), "5 block 'route': a branch without 'when' takes all rows, so none are left for those after it."),
        (branches("a ==: a b"), "5 block 'route': branches[0].when: the condition 'a ==' is wrong: unexpected 'end of template'."),
        ("- block_type: BranchBlock\n  block_config: {block_name: x, branches: []}\n", "'branches' must not be empty"),
        ("- block_type: BranchBlock\n  block_config: {block_name: x, branches: [{when: a}]}\n", "a branch has 'flow' or 'blocks', and this has neither."),
        ("- block_type: BranchBlock\n  block_config: {block_name: x, branches: [{wen: a, blocks: []}]}\n", "Did you mean 'when'?"),
        (branches("a: a b", more="    rest: drop\n"), "'rest' cannot be 'drop'"),
        (repeat("b = 1", "a", "b"), "Two values are compared with '=='."),
        (repeat("b == 1", "a", "b", rounds=0), "'max_rounds' has to be at least 1"),
        (repeat("b == 1", "a", "b").replace("    until: b == 1\n", ""), "the field 'until' is missing"),
        ("- block_type: RepeatBlock\n  block_config: {block_name: x, until: a, max_rounds: 2, flow: x.yaml, blocks: []}\n", "a RepeatBlock has 'flow' or 'blocks', not both."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_structure_is_told(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert any(message in one for one in found), found


def test_a_repetition_may_ask_for_what_its_round_writes(tmp_path: Path) -> None:
    tracking = track(tmp_path, repeat("b == 1", "a", "b"))
    assert (tracking.problems, tracking.output.names) == ([], ("a", "b"))
    assert told(track(tmp_path, repeat("c == 1", "a", "b"))) == [
        "4 block 'refine': 'until' looks at the column 'c', which no block before writes and the seeds do not have."
    ]


def test_what_the_second_round_would_miss_is_told_before_the_first(tmp_path: Path) -> None:
    text = repeat("b == 1", "a", "b", drops="a")
    assert told(track(tmp_path, text)) == ["8 block 'copy' reads the column 'a', which is gone after block 'copy'."]
    assert track(tmp_path, text.replace("max_rounds: 3", "max_rounds: 1")).problems == []


def test_an_included_list_stands_in_the_chain_as_if_it_were_written_there(tmp_path: Path) -> None:
    flow = read(tmp_path, f"{copy('a', 'b')}- include: more.yaml\n- include: more.yaml\n", more=copy("b", "c") + copy("c", "d"))
    names = [item.name for item in flow.pipelines[0].items]
    assert (len(names), len(set(names)), names[:3]) == (5, 5, ["copy", "copy_2", "copy_2_2"])
    assert track_columns(flow, ("a",)).output.names == ("a", "b", "c", "d")


def test_an_included_flow_that_says_what_it_hands_on_stays_a_pipeline(tmp_path: Path) -> None:
    flow = read(tmp_path, "- include: more.yaml\n", more=f"name: tidy\noutput_columns: [b]\nblocks:\n{copy('a', 'b')}")
    (item,) = flow.pipelines[0].items
    assert (item.name, item.pipeline is not None) == ("tidy", True)
    assert track_columns(flow, ("a",)).output.names == ("b",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- include: moer.yaml\n", "Did you mean 'more.yaml'?"),
        ("- include: flow.yaml\n", "1 pipelines go in a circle: "),
        ("- include: [more.yaml]\n", "1 'include' has to be the path of a flow file, not a list."),
        ("- include: more.yaml\n  wehn: a\n", "2 unknown key 'wehn' of an include."),
    ],
)
def test_what_is_wrong_with_an_include_is_told(tmp_path: Path, text: str, message: str) -> None:
    found = problems(tmp_path, text, more=copy("a", "b"))
    assert len(found) == 1
    assert message in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "pipelines:\n- {name: x, blocks: [BLOCK], parameters: {k: 1}}\n",
        "- {block_type: PipelineBlock, block_config: {block_name: p, blocks: [BLOCK], parameters: {k: 1}}}\n",
        "- {block_type: BranchBlock, block_config: {block_name: p, branches: [{blocks: [BLOCK], parameters: {k: 1}}]}}\n",
    ],
)
def test_parameters_for_blocks_that_are_no_file_are_told(tmp_path: Path, text: str) -> None:
    block = "{block_type: RowMultiplierBlock, block_config: {block_name: b, num_samples: 2}}"
    (found,) = read(tmp_path, text.replace("BLOCK", block)).warnings
    assert "'parameters' has no effect beside 'blocks'" in found.message
