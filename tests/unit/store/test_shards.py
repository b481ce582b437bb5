"""Shards in the store: what is written is what is read, whoever else writes it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import load_from_disk

from sdg_prefect.errors import StoreError
from sdg_prefect.rows import ROW_ID, with_ids
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import is_there, read_shard, write_shards


def table(*values: object) -> pa.Table:
    """Return rows of one column, with ids."""
    return with_ids(pa.table({"a": list(values)}), [f"id-{value}" for value in values])


def test_the_parts_of_a_dataset_are_read_one_by_one(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    first, second = write_shards(root, "c/x", [table("one", "two"), table("three")])
    assert read_shard(root, first).column("a").to_pylist() == ["one", "two"]
    assert read_shard(root, second).column(ROW_ID).to_pylist() == ["id-three"]
    assert (first.columns, first.rows, second.start) == (("a",), 2, 2)


def test_anybody_can_open_a_shard_with_datasets(tmp_path: Path) -> None:
    write_shards(Root.at(tmp_path), "c/x", [table("one"), table(None)])
    opened = load_from_disk(str(tmp_path / "c" / "x"))
    assert opened["a"] == ["one", None]


def test_equal_rows_have_equal_references_and_are_not_written_again(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    before = write_shards(root, "c/x", [table(1, 2)])
    written = (tmp_path / "c" / "x" / "state.json").stat().st_mtime_ns
    assert write_shards(root, "c/x", [table(1, 2)]) == before
    assert (tmp_path / "c" / "x" / "state.json").stat().st_mtime_ns == written
    assert write_shards(root, "c/x", [table(1, 3)]) != before
    assert read_shard(root, before[0].model_copy(update={"rows": 2})).column("a").to_pylist() == [1, 3]


def test_a_round_of_a_repetition_has_row_ids_of_its_own(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (ref,) = write_shards(root, "c/x", [table("one")])
    rounds = [read_shard(root, ref.in_round(number)).column(ROW_ID)[0].as_py() for number in range(3)]
    assert len({"id-one", *rounds}) == 4
    assert ref.in_round(1).content != ref.content


def test_threads_that_write_the_same_shard_do_not_disturb_each_other(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    failed: list[BaseException] = []

    def write_and_read(kind: int) -> None:
        try:
            for number in range(30):
                write_shards(root, "c/x", [table(f"{kind}-{number % 2}")])
                assert read_shard(root, write_shards(root, "c/y", [table("same")])[0]).num_rows == 1
        except BaseException as error:  # what a thread raises is lost otherwise
            failed.append(error)

    threads = [threading.Thread(target=write_and_read, args=(kind,)) for kind in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_shard_whose_files_are_gone_is_not_there_and_says_so(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (ref,) = write_shards(root, "c/x", [table("one")])
    assert is_there(root, ref)
    next((tmp_path / "c" / "x").glob("*.arrow")).unlink()
    assert not is_there(root, ref)
    shutil.rmtree(tmp_path / "c" / "x")
    with pytest.raises(StoreError, match="cannot be read"):
        read_shard(root, ref)
