"""Branches, repetitions and conditions in a plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.counts import Counts
from sdg_prefect.plan.passing import passing
from sdg_prefect.plan.plan import Fork, PipelinePlan, Repeat, Step
from tests.flows import copy, nested
from tests.unit.plan.test_compile import compiled

BRANCHES = """\
- block_type: BranchBlock
  block_config:
    block_name: route
    branches:
    - when: a == 1
      blocks:
      - block_type: DuplicateColumns
        block_config: {block_name: one, columns_map: {a: b}}
    - name: others
      blocks:
      - block_type: DuplicateColumns
        block_config: {block_name: other, columns_map: {a: c}}
"""
REPEAT = """\
- block_type: RepeatBlock
  block_config:
    block_name: refine
    until: b == 1
    max_rounds: 3
    unmet: reject
    blocks:
    - block_type: DuplicateColumns
      block_config: {block_name: copy, columns_map: {a: b}}
"""


def test_a_condition_is_a_part_of_the_key_of_its_block_alone(tmp_path: Path) -> None:
    plain = compiled(tmp_path, copy("a", "b") + copy("a", "c")).steps()
    chosen = compiled(tmp_path, f"{copy('a', 'b')}  when: a > 1\n{copy('a', 'c')}").steps()
    assert plain[0].key != chosen[0].key
    assert plain[1].key == chosen[1].key
    assert (chosen[0].when, chosen[0].parts["when"] != "") == ("a > 1", True)


def test_branches_are_pipelines_between_a_split_and_a_join(tmp_path: Path) -> None:
    plan = compiled(tmp_path, f"{BRANCHES}  drop_columns: [a]\n")
    (fork,) = plan.pipelines[0].steps
    assert isinstance(fork, Fork)
    assert [branch.name for branch in fork.branches] == ["route · 1", "others"]
    assert plan.labels() == ["route · branches", "one", "other", "route · join"]
    assert [step.scope for step in fork.walk()] == ["row"] * 4
    assert fork.join.drop_columns == ("a",)
    assert str(plan).splitlines()[2:] == [
        "    branches route  rows that no branch takes pass by → b, c",
        "      pipeline route · 1  when a == 1",
        "        one  (DuplicateColumns) → a, b",
        "      pipeline others  all others",
        "        other  (DuplicateColumns) → a, c",
    ]


def test_a_step_that_waits_for_all_rows_makes_the_split_and_the_join_wait_too(tmp_path: Path) -> None:
    plan = compiled(tmp_path, BRANCHES.replace("columns_map: {a: b}}", "columns_map: {a: b}}\n        drop_duplicates: [b]"))
    (fork,) = plan.pipelines[0].steps
    assert isinstance(fork, Fork)
    assert (fork.split.scope, fork.join.scope) == ("all", "all")


def test_a_repetition_has_its_pipeline_once(tmp_path: Path) -> None:
    plan = compiled(tmp_path, REPEAT)
    (repeat,) = plan.pipelines[0].steps
    assert isinstance(repeat, Repeat)
    assert (repeat.most, repeat.until, repeat.body.name) == (3, "b == 1", "refine")
    assert plan.labels() == ["copy", "refine · until", "refine · unmet", "refine · join"]
    assert "    repeat refine  up to 3 rounds until b == 1; then reject → a, b" in str(plan)


def test_a_single_round_is_a_pipeline(tmp_path: Path) -> None:
    plan = compiled(tmp_path, REPEAT.replace("max_rounds: 3", "max_rounds: 1"))
    body, unmet = plan.pipelines[0].steps
    assert isinstance(body, PipelinePlan)
    assert isinstance(unmet, Step)
    assert unmet.label == "refine · unmet"


def test_a_structure_with_a_condition_is_a_branch(tmp_path: Path) -> None:
    twice = "- block_type: IterBlock\n  block_config: {block_name: x, num_iters: 2, block_type: DuplicateColumns, block_kwargs: {columns_map: {a: b}}}\n"
    for text in (
        f"{nested('x', 'x.yaml')}  when: a > 1\n",
        f"{twice}  when: a > 1\n",
        f"{REPEAT}  when: a > 1\n",
        f"{BRANCHES}  when: a > 1\n",
    ):
        plan = compiled(tmp_path, text, x=copy("a", "b"))
        (fork,) = plan.pipelines[0].steps
        assert isinstance(fork, Fork)
        assert fork.split.block.conditions == ("a > 1",)  # type: ignore[attr-defined]
        assert fork.join.columns[:2] == ("a", "b")


def test_lanes_inside_of_lanes_have_places_of_their_own(tmp_path: Path) -> None:
    inner = "".join(f"      {line}\n" for line in BRANCHES.splitlines()).lstrip()
    plan = compiled(
        tmp_path,
        BRANCHES.replace(
            "- block_type: DuplicateColumns\n        block_config: {block_name: one, columns_map: {a: b}}\n", inner, 1
        ),
    )
    assert [step.block.place for step in plan.steps() if hasattr(step.block, "place")] == [
        "__place_0__",
        "__place_1__",
        "__place_1__",
        "__place_0__",
    ]


def test_the_share_of_rows_that_pass_branches_is_their_average_over_the_rows_that_took_them(tmp_path: Path) -> None:
    plan = compiled(tmp_path, BRANCHES)
    counts = {
        "route · branches": Counts(rows_in=100, rows_out=90, gave_rows=90, rejected=10),
        "one": Counts(rows_in=60, rows_out=15, gave_rows=15, filtered=45),
        "other": Counts(rows_in=20, rows_out=20, gave_rows=20),
        "route · join": Counts(rows_in=45, rows_out=45, gave_rows=45),
    }
    assert passing(plan.pipelines, counts) == pytest.approx(0.9 * 45 / 90)
    assert passing(plan.pipelines, {}) == 1.0


def test_the_share_of_rows_that_pass_a_chain_is_that_of_its_blocks_multiplied(tmp_path: Path) -> None:
    plan = compiled(tmp_path, copy("a", "b") + copy("a", "c"))
    labels = plan.labels()
    counts = {labels[0]: Counts(rows_in=10, gave_rows=8, rejected=2), labels[1]: Counts(rows_in=16, gave_rows=8, filtered=8)}
    assert passing(plan.pipelines, counts) == pytest.approx(0.4)
