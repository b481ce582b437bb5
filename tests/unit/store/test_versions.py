"""Outputs that grow: what each run adds is kept, and the output holds all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.errors import StoreError
from sdg_prefect.rows import ROW_ID
from sdg_prefect.seed_ids import seed_ids
from sdg_prefect.store.columns import unified_schema
from sdg_prefect.store.root import Root
from sdg_prefect.store.seeds import read_seeds, seeds_of
from sdg_prefect.store.versions import Made, Version, Versions

Row = Mapping[str, Any]


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder, and a prefix on S3."""
    return str(tmp_path) if request.param == "local" else f"s3://{request.getfixturevalue('bucket')}/rows"


def made(run_id: str, rows: Sequence[Row], key: str = "key") -> Made:
    """What a run makes that gives each seed back."""
    seeds = seeds_of([dict(row) for row in rows])
    return Made(run_id, "flow", key, seeds.column(ROW_ID), [seeds], unified_schema([seeds.schema]))


def add(versions: Versions, run_id: str, rows: Sequence[Row], *, is_whole: bool = False, key: str = "key") -> Version | None:
    """Let a run add rows, as far as they are new."""
    before = versions.all()
    return versions.add(made(run_id, rows, key), after=before, is_whole=is_whole, keep_ids=False)


def rows_in(target: str) -> list[Row]:
    """Read an output."""
    rows: list[Row] = read_seeds(target).drop_columns([ROW_ID]).to_pylist()
    return rows


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv.gz", "out.parquet", "out/"])
def test_rows_of_each_version_come_after_those_before(place: str, name: str) -> None:
    versions = Versions(f"{place}/{name}")
    add(versions, "one", [{"a": "1", "b": None}, {"a": "2", "b": None}])
    second = add(versions, "two", [{"a": "3", "b": "late"}])
    assert second is not None
    assert (second.number, second.seeds, second.rows) == (2, 1, 1)
    assert [(row["a"], row["b"] or None) for row in map(_as_text, rows_in(f"{place}/{name}"))] == [
        ("1", None),
        ("2", None),
        ("3", "late"),
    ]
    assert versions.is_published()
    if place.startswith("/"):
        assert load_from_disk(versions.root.url("two"))["a"][:] == ["3"]


def _as_text(row: Row) -> Row:
    return {name: None if value is None else str(value) for name, value in row.items()}


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 9), max_size=4, unique=True), max_size=4))
def test_whatever_comes_when_each_seed_is_there_once(tmp_path_factory: pytest.TempPathFactory, runs: list[list[int]]) -> None:
    target = str(tmp_path_factory.mktemp("law") / "out.jsonl")
    versions = Versions(target)
    for number, numbers in enumerate(runs):
        seeds = seeds_of([{"n": one} for one in numbers]) if numbers else None
        new = versions.unseen(seeds).column("n").to_pylist() if seeds is not None else []
        if new:
            add(versions, f"run-{number}", [{"n": one} for one in new])
    expected = list(dict.fromkeys(one for numbers in runs for one in numbers))
    assert ([row["n"] for row in rows_in(target)] if expected else []) == expected
    assert [version.number for version in versions.all()] == list(range(1, len(versions.all()) + 1))


def test_a_whole_version_takes_the_place_of_all_before_and_is_not_added_twice(place: str) -> None:
    target = f"{place}/out.jsonl"
    versions = Versions(target)
    add(versions, "one", [{"a": 1}, {"a": 2}])
    add(versions, "two", [{"a": 2}, {"a": 3}], is_whole=True)
    assert rows_in(target) == [{"a": 2}, {"a": 3}]
    assert versions.is_made_of(seeds_of([{"a": 3}, {"a": 2}]), "key")
    assert not versions.is_made_of(seeds_of([{"a": 3}]), "key")
    assert not versions.is_made_of(seeds_of([{"a": 3}, {"a": 2}]), "another")
    assert add(versions, "three", [{"a": 2}, {"a": 3}], is_whole=True) is None
    assert not versions.root.exists("three")
    assert [version.number for version in versions.all()] == [1, 2]
    add(versions, "four", [{"a": 2}, {"a": 3}], is_whole=True, key="another")
    add(versions, "five", [{"a": 4}])
    assert [version.run for version in versions.now()] == ["four", "five"]
    assert rows_in(target) == [{"a": 2}, {"a": 3}, {"a": 4}]


def test_seeds_that_gave_no_rows_are_known_too(place: str) -> None:
    versions = Versions(f"{place}/out.jsonl")
    add(versions, "one", [{"a": 1}])
    filtered = made("two", [{"a": 2}])
    none_left = replace(filtered, tables=[filtered.tables[0].slice(0, 0)])
    assert versions.add(none_left, after=versions.all(), is_whole=False, keep_ids=False) is not None
    assert versions.unseen(seeds_of([{"a": 1}, {"a": 2}, {"a": 3}])).column("a").to_pylist() == [3]
    assert rows_in(versions.target) == [{"a": 1}]


def test_types_that_differ_between_versions_are_joined(tmp_path: Path) -> None:
    versions = Versions(str(tmp_path / "out.parquet"))
    add(versions, "one", [{"n": 1, "o": {"x": 1}}])
    add(versions, "two", [{"n": 1.5, "o": {"y": "t"}, "late": True}])
    assert rows_in(versions.target) == [
        {"n": 1.0, "o": {"x": 1, "y": None}, "late": None},
        {"n": 1.5, "o": {"x": None, "y": "t"}, "late": True},
    ]


def test_an_output_that_a_killed_run_left_behind_is_written_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    versions = Versions(str(target))
    add(versions, "one", [{"a": 1}])
    old = target.read_bytes()
    add(versions, "two", [{"a": 2}])
    # As a kill between the record of version 2 and the output leaves it.
    target.write_bytes(old)
    versions.root.write(json.dumps({"version": 1}).encode(), "newest.json")
    assert not versions.is_published()
    versions.publish(keep_ids=False)
    assert rows_in(str(target)) == [{"a": 1}, {"a": 2}]
    target.unlink()
    assert not versions.is_published()


def test_two_runs_at_once_both_add_unless_they_have_seeds_in_common(place: str) -> None:
    target = f"{place}/out.jsonl"
    versions = Versions(target)
    add(versions, "one", [{"a": 1}])
    before = versions.all()
    versions.add(made("two", [{"a": 2}]), after=before, is_whole=False, keep_ids=False)
    third = versions.add(made("three", [{"a": 3}]), after=before, is_whole=False, keep_ids=False)
    assert third is not None
    assert third.number == 3
    with pytest.raises(StoreError, match="run three has added rows of the same seeds"):
        versions.add(made("four", [{"a": 3}, {"a": 4}]), after=before, is_whole=False, keep_ids=False)
    with pytest.raises(StoreError, match="run three has added rows"):
        versions.add(made("five", [{"a": 5}]), after=before, is_whole=True, keep_ids=False)
    assert rows_in(target) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_ids_stay_in_the_versions_and_go_into_the_output_on_request(tmp_path: Path) -> None:
    versions = Versions(str(tmp_path / "out.jsonl"))
    versions.add(made("one", [{"a": 1}]), after=[], is_whole=False, keep_ids=True)
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {ROW_ID: seed_ids([{"a": 1}])[0], "a": 1}


def test_ids_of_seeds_that_are_gone_are_missed(tmp_path: Path) -> None:
    versions = Versions(str(tmp_path / "out.jsonl"))
    add(versions, "one", [{"a": 1}])
    versions.root.remove("one.seeds.arrow")
    with pytest.raises(StoreError, match="nobody can tell which seeds are new"):
        versions.unseen(seeds_of([{"a": 2}]))


def test_a_file_can_be_created_once(place: str) -> None:
    root = Root.at(f"{place}/root")
    assert root.create(b"first", "folder", "file")
    assert not root.create(b"second", "folder", "file")
    assert root.read("folder", "file") == b"first"
