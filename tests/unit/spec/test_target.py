"""How many candidates are tried for a number of rows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.seeding import candidates
from sdg_prefect.errors import FlowError
from sdg_prefect.rows import ids_of
from sdg_prefect.spec.reader import read_flow, scan_flow
from sdg_prefect.spec.target import Target
from sdg_prefect.store.seeds import seeds_of
from tests.flows import copy


def waves(target: Target, rate: float, seed: int) -> list[tuple[int, int]]:
    """Try candidates of which each gives a row with some probability; return each wave and the rows so far."""
    chance, accepted, tried, found = random.Random(seed), 0, 0, []
    while wave := target.next_wave(accepted, tried):
        tried += wave
        accepted += sum(chance.random() < rate for _ in range(wave))
        found.append((wave, accepted))
    return found


def test_a_target_has_ten_candidates_for_each_row_unless_it_says_otherwise() -> None:
    assert Target(rows=20).candidates == 200
    assert Target(rows=20, max_candidates=30).candidates == 30


def test_the_first_wave_is_a_tenth_and_the_next_ones_follow_from_it() -> None:
    target = Target(rows=1000, max_candidates=20_000)
    assert target.next_wave(0, 0) == 100
    assert target.next_wave(30, 100) == 400  # 3,233 are missing; a small sample decides over four times as many at most
    assert target.next_wave(900, 3000) == 367  # at this rate 333 give the rest, and a tenth more
    assert target.next_wave(700, 2334) == 930  # at this rate 1,001 would, but the rate may be two standard errors higher
    assert target.next_wave(1000, 3000) == 0
    assert target.next_wave(0, 100) == 200
    assert target.next_wave(900, 20_000) == 0


def test_no_more_seeds_are_tried_than_a_small_target_has_rows() -> None:
    assert Target(rows=3).next_wave(0, 0) == 3


@given(st.integers(1, 2000), st.floats(0.02, 1.0), st.integers(0, 99))
def test_the_target_is_met_with_little_more_than_is_needed(rows: int, rate: float, seed: int) -> None:
    target = Target(rows=rows, max_candidates=200 * rows)
    found = waves(target, rate, seed)
    accepted = found[-1][1]
    assert accepted >= rows
    # What is too much comes from the last wave alone: a tenth of it, by chance some more, and a least wave.
    assert accepted - rows <= max(20, 0.12 * rows)
    assert len(found) <= 16


@given(st.integers(1, 50), st.integers(1, 500), st.floats(0.0, 1.0))
def test_never_more_candidates_are_tried_than_are_allowed(rows: int, most: int, rate: float) -> None:
    assert sum(wave for wave, _ in waves(Target(rows=rows, max_candidates=most), rate, 1)) <= most


def test_candidates_are_the_seeds_again_and_again_with_ids_of_their_own() -> None:
    seeds = seeds_of([{"a": 1}, {"a": 2}, {"a": 3}])
    taken = candidates(seeds, 0, 8)
    assert taken.column("a").to_pylist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert ids_of(taken)[:3] == ids_of(seeds)
    assert len(set(ids_of(taken))) == 8
    assert ids_of(candidates(seeds, 2, 4)) == ids_of(taken)[2:6]


def test_a_flow_says_how_many_rows_it_wants(tmp_path: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(f"target_rows: 10\nmax_candidates: 50\nblocks:\n{copy('a', 'b')}")
    assert read_flow(flow).target == Target(rows=10, max_candidates=50)
    seeds = [{"a": 1}]
    plan = prepare(RunOptions(flow=flow, input=seeds)).plan
    assert plan.target == Target(rows=10, max_candidates=50)
    assert "  target: 10 rows, from at most 50 candidates" in str(plan)
    assert prepare(RunOptions(flow=flow, input=seeds, max_candidates=70)).plan.target == Target(rows=10, max_candidates=70)
    assert prepare(RunOptions(flow=flow, input=seeds, target_rows=4)).plan.target == Target(rows=4, max_candidates=50)


@pytest.mark.parametrize(
    ("root", "message"),
    [
        ("target_rows: 0", "1 'target_rows' has to be a whole number above 0, not 0."),
        ("target_rows: many", "1 'target_rows' has to be a whole number above 0, not 'many'."),
        ("target_rows: 3\nmax_candidates: true", "2 'max_candidates' has to be a whole number above 0, not true."),
        ("max_candidates: 3", "1 'max_candidates' is of no use without 'target_rows'."),
        ("traget_rows: 3", "1 unknown key 'traget_rows' of a flow."),
    ],
)
def test_a_wrong_target_is_told_with_its_line(tmp_path: Path, root: str, message: str) -> None:
    (tmp_path / "flow.yaml").write_text(f"{root}\nblocks:\n{copy('a', 'b')}")
    (found,) = scan_flow(tmp_path / "flow.yaml").problems
    assert f"{found.line} {found.message}" == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_candidates": 3}, "--max-candidates is of no use without a target."),
        ({"target_rows": 0}, "'target_rows' has to be at least 1"),
        ({"target_rows": 3, "incremental": True, "output": "out"}, "an output that grows takes what its new seeds give"),
    ],
)
def test_a_target_that_cannot_be_is_told_before_the_run(tmp_path: Path, options: dict[str, object], message: str) -> None:
    (tmp_path / "flow.yaml").write_text(copy("a", "b"))
    with pytest.raises(FlowError, match=message):
        prepare(RunOptions.model_validate({"flow": tmp_path / "flow.yaml", "input": [{"a": 1}], **options}))
