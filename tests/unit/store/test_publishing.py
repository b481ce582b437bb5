"""Datasets for others: splits that keep families together, and Parquet that streams."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.errors import FlowError
from sdg_prefect.store.publishing import assign, parse_splits, write_dataset

SPLITS = {"train": 0.9, "test": 0.1}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("train=0.9", "add up to 0.9"),
        ("train=0.9,test=0.2", "add up to 1.1"),
        ("train", "'train' is no split with its share"),
        ("train=x,test=1", "'train=x' is no split"),
        ("train=0.5,train=0.5", "named once"),
        ("a/b=1", "'a/b=1' is no split"),
        ("train=1,test=0", "with a share above 0"),
        ("train=nan", "with a share above 0"),
        ("", "is no split"),
    ],
)
def test_shares_that_make_no_sense_are_refused(text: str, says: str) -> None:
    with pytest.raises(FlowError, match=says):
        parse_splits(text)


def test_shares_are_read_in_their_order() -> None:
    assert parse_splits(" train=0.8, validation=0.1,test=0.1") == {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert parse_splits(None) == {"train": 1.0}


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.integers(0, 3))
def test_a_group_is_in_one_split_wherever_and_however_often_it_comes(groups: list[int], seed: int) -> None:
    doubled = np.array([*groups, *reversed(groups)], np.uint64)
    places = assign(doubled, SPLITS, seed).tolist()
    assert places == places[::-1]
    assert [assign(np.array([one], np.uint64), SPLITS, seed)[0] for one in groups] == places[: len(groups)]
    assert set(places) <= {0, 1}


def test_groups_fall_into_splits_by_their_shares_and_the_seed() -> None:
    groups = np.arange(100_000, dtype=np.uint64)
    places = assign(groups, {"a": 0.7, "b": 0.2, "c": 0.1})
    assert [round(float((places == place).mean()), 2) for place in range(3)] == [0.7, 0.2, 0.1]
    assert (assign(groups, SPLITS, 1) != assign(groups, SPLITS, 2)).any()


def rows(count: int, width: int = 10) -> pa.Table:
    """Make rows with ids."""
    return pa.table({"__row_id__": [f"r{n}" for n in range(count)], "n": range(count), "text": ["x" * width] * count})


def test_a_dataset_is_read_by_its_splits_without_ids(tmp_path: Path) -> None:
    table = rows(1000)
    written = write_dataset(
        tmp_path, [table.slice(0, 300), table.slice(300)], [np.arange(300) % 2, np.arange(700) % 2], ["train", "test"]
    )
    assert [(one.name, one.rows, one.files) for one in written] == [
        ("train", 500, ("data/train-00000-of-00001.parquet",)),
        ("test", 500, ("data/test-00000-of-00001.parquet",)),
    ]
    read = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in read.items()} == {"train": 500, "test": 500}
    assert read["train"].column_names == ["n", "text"]
    assert read["train"][0] == {"n": 0, "text": "x" * 10}
    streamed = load_dataset(str(tmp_path), split="test", streaming=True)
    assert next(iter(streamed))["n"] == 1


def test_row_groups_are_of_a_size_that_streams(tmp_path: Path) -> None:
    wide, narrow = rows(2000, 20_000), rows(60_000)
    parts = [narrow.slice(start, 500) for start in range(0, 60_000, 500)]
    for name, tables in (("wide", [wide]), ("narrow", parts)):
        (made,) = write_dataset(tmp_path / name, tables, [np.zeros(one.num_rows, np.int64) for one in tables], ["train"])
        meta = pq.ParquetFile(tmp_path / name / made.files[0]).metadata
        sizes = [meta.row_group(place).num_rows for place in range(meta.num_row_groups)]
        assert sum(sizes) == made.rows
        assert max(sizes) <= 50_000
        if name == "wide":
            assert max(sizes) <= 500
        else:
            assert len(sizes) <= 3


def test_files_of_an_earlier_version_are_gone_and_a_split_without_rows_is_there(tmp_path: Path) -> None:
    table = rows(10)
    write_dataset(tmp_path, [table], [np.zeros(10, np.int64)], ["old"])
    written = write_dataset(tmp_path, [table], [np.zeros(10, np.int64)], ["train", "test"])
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "test-00000-of-00001.parquet",
        "train-00000-of-00001.parquet",
    ]
    assert pq.read_table(tmp_path / written[1].files[0]).column_names == ["n", "text"]
