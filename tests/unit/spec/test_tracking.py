"""Columns from the seeds to the output, before anything runs."""

from __future__ import annotations

from pathlib import Path

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.registry import block
from sdg_prefect.spec.reader import read_flow, scan_flow
from sdg_prefect.spec.tracking import Tracking, track_columns
from tests.flows import copy, nested


@block("OpaqueForTracking")
class OpaqueForTracking(Block):
    """A block that does not say what it reads and writes."""

    is_opaque = True


OPAQUE = "- block_type: OpaqueForTracking\n  block_config: {block_name: own}\n"


def track(folder: Path, text: str, seeds: tuple[str, ...] | None = None) -> Tracking:
    (folder / "flow.yaml").write_text(text)
    return track_columns(read_flow(folder / "flow.yaml"), seeds)


def told(tracking: Tracking) -> list[str]:
    return [f"{problem.line} {problem.message}" for problem in tracking.problems]


def test_columns_go_through_the_chain_in_order(tmp_path: Path) -> None:
    tracking = track(tmp_path, f"{copy('a', 'b')}  drop_columns: [a]\n{copy('b', 'c')}", ("a", "z"))
    assert tracking.problems == []
    assert tracking.output.names == ("z", "b", "c")


def test_without_seeds_what_nobody_writes_is_taken_to_be_theirs(tmp_path: Path) -> None:
    tracking = track(tmp_path, copy("a", "b") + copy("b", "c") + copy("d", "e"))
    assert tracking.problems == []
    assert {name: need.line for name, need in tracking.seeds.items()} == {"a": 2, "d": 6}


def test_declared_inputs_stand_for_the_seeds(tmp_path: Path) -> None:
    text = f"inputs: {{required_columns: [a], optional_columns: [o]}}\nblocks:\n{copy('o', 'b')}{copy('d', 'e')}"
    assert told(track(tmp_path, text)) == [
        "6 block 'copy_2' reads the column 'd', which no block before writes and 'inputs' does not name."
    ]


def test_real_seeds_count_more_than_declared_inputs(tmp_path: Path) -> None:
    text = f"inputs: {{required_columns: [a]}}\nblocks:\n{copy('d', 'e')}"
    assert told(track(tmp_path, text, ("d",))) == ["1 the seeds have no column 'a', which the flow requires."]


def test_behind_an_opaque_block_any_column_may_be(tmp_path: Path) -> None:
    assert track(tmp_path, copy("a", "b") + OPAQUE + copy("x", "y"), ("a",)).problems == []


def test_before_an_opaque_block_columns_are_still_known(tmp_path: Path) -> None:
    tracking = track(tmp_path, copy("x", "y") + OPAQUE, ("a",))
    assert told(tracking) == ["2 block 'copy' reads the column 'x', which no block before writes and the seeds do not have."]


def test_a_block_that_cannot_be_read_may_leave_any_column(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(f"- block_type: Nothing\n  block_config: {{}}\n{copy('x', 'y')}")
    reading = scan_flow(tmp_path / "flow.yaml")
    assert reading.flow is not None
    assert track_columns(reading.flow, ("a",)).problems == []


def test_a_renamed_column_is_gone_after_its_block(tmp_path: Path) -> None:
    rename = "- block_type: RenameColumns\n  block_config: {block_name: rename, columns_map: {a: b}}\n"
    assert told(track(tmp_path, rename + copy("a", "c"), ("a",))) == [
        "4 block 'copy' reads the column 'a', which is gone after block 'rename'."
    ]


def test_a_nested_pipeline_hands_on_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(f"output_columns: [b]\nblocks:\n{copy('a', 'b')}")
    tracking = track(tmp_path, nested("inner", "inner.yaml") + copy("a", "c"), ("a",))
    assert told(tracking) == ["4 block 'copy' reads the column 'a', which is gone after block 'inner'."]


def test_dropping_what_is_not_there_is_a_warning(tmp_path: Path) -> None:
    tracking = track(tmp_path, f"{copy('a', 'b')}  drop_columns: [aa]\n", ("a",))
    assert [(problem.line, problem.warning) for problem in tracking.problems] == [(3, True)]


def test_the_output_is_what_the_flow_says(tmp_path: Path) -> None:
    assert track(tmp_path, f"output_columns: [b]\nblocks:\n{copy('a', 'b')}", ("a",)).output.names == ("b",)
    tracking = track(tmp_path, f"metadata: {{output_columns: [b]}}\nblocks:\n{copy('a', 'b')}", ("a", "z"))
    assert tracking.output.names == ("a", "z", "b")
