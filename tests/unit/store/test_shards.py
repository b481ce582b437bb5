"""Shards in the store: what is written is what is read, whoever else writes, and damage never passes for data."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 - to poison a file
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import load_from_disk

from sdg_prefect.rows import ROW_ID, with_ids
from sdg_prefect.store.integrity import Damaged, FileMark, find_damage
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shard, read_shards, write_shards
from tests.damage import Poison, flip, truncate


def table(*values: object) -> pa.Table:
    """Return rows of one column, with ids."""
    return with_ids(pa.table({"a": list(values)}), [f"id-{value}" for value in values])


def write(root: Root, *parts: pa.Table) -> tuple[DatasetRef, ...]:
    """Write tables to the usual place."""
    return write_shards(root, "c/x", parts).refs


def file_of(root: Root, ref: DatasetRef) -> Path:
    """Return the Arrow file of a shard."""
    assert ref.file is not None
    return Path(root.path(ref.uri, ref.file.name))


def empty(path: Path) -> None:
    """Leave nothing in a file, as a power cut may."""
    os.truncate(path, 0)


def replace_by_other_rows(path: Path) -> None:
    """Put a good Arrow file of other rows in the place of a file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table("other").schema) as writer:
        writer.write_table(table("other"))


def replace_by_a_folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    path.mkdir()


DAMAGES: list[Callable[[Path], None]] = [flip, truncate, empty, Path.unlink, replace_by_other_rows, replace_by_a_folder]


def test_each_part_of_a_dataset_is_a_file_that_is_read_alone(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    first, second = write(root, table("one", "two"), table("three"))
    assert read_shard(root, first).column("a").to_pylist() == ["one", "two"]
    file_of(root, first).unlink()
    assert read_shard(root, second).column(ROW_ID).to_pylist() == ["id-three"]
    assert (first.columns, first.rows, second.rows) == (("a",), 2, 1)


def test_anybody_can_open_a_shard_with_datasets(tmp_path: Path) -> None:
    ref, *_ = write(Root.at(tmp_path), table("one"), table(None), table())
    assert load_from_disk(str(tmp_path / ref.uri))["a"][:] == ["one", None]


def test_equal_rows_have_equal_references_and_are_not_written_again(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    before = write(root, table(1, 2))
    written = file_of(root, before[0]).stat()
    assert write(root, table(1, 2)) == before
    assert file_of(root, before[0]).stat() == written


def test_other_rows_lie_beside_and_nobody_loses_theirs(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (mine,), (theirs,) = write(root, table(1, 2)), write(root, table(1, 3))
    assert mine.uri != theirs.uri
    assert [read_shard(root, ref).column("a").to_pylist() for ref in (mine, theirs)] == [[1, 2], [1, 3]]


def test_a_round_of_a_repetition_has_row_ids_of_its_own(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (ref,) = write(root, table("one"))
    rounds = [read_shard(root, ref.in_round(number)).column(ROW_ID)[0].as_py() for number in range(3)]
    assert len({"id-one", *rounds}) == 4
    assert ref.in_round(1).content != ref.content


def test_threads_that_write_the_same_shard_do_not_disturb_each_other(tmp_path: Path) -> None:
    root = Root.at(tmp_path)

    def write_and_read(kind: int) -> None:
        for number in range(20):
            (own,) = write(root, table(f"{kind}-{number % 2}"))
            assert read_shard(root, own).column("a").to_pylist() == [f"{kind}-{number % 2}"]
            assert read_shard(root, write_shards(root, "c/y", [table(f"same-{number}")]).refs[0]).num_rows == 1

    with ThreadPoolExecutor() as threads:
        list(threads.map(write_and_read, range(3)))
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_never_read(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    root = Root.at(tmp_path)
    good, bad = write(root, table(*"abcdefgh"), table(*"ijklmnop"))
    damage(file_of(root, bad))
    with pytest.raises(Damaged, match="data-00001-of-00002"):
        read_shard(root, bad)
    with pytest.raises(Damaged):
        read_shards(root, [good, bad])
    assert read_shard(root, good).num_rows == 8
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_when_its_data_is_written_again(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    root = Root.at(tmp_path)
    (before,) = write(root, table(*"abcdefgh"))
    damage(file_of(root, before))
    assert write(root, table(*"abcdefgh")) == (before,)
    assert read_shard(root, before).num_rows == 8
    (aside,) = (tmp_path / "damaged").iterdir()
    assert {"state.json", "dataset_info.json"} <= {path.name for path in aside.rglob("*")}
    (line,) = caplog.messages
    assert all(part in line for part in (str(file_of(root, before)), str(aside)))


def test_several_damaged_shards_are_told_together(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    refs = write(root, table("one"), table("two"), table("three"))
    for ref in refs[1:]:
        flip(file_of(root, ref))
    with pytest.raises(Damaged) as found:
        read_shards(root, refs)
    assert [damage.file.name for damage in found.value.damages] == ["data-00001-of-00003.arrow", "data-00002-of-00003.arrow"]


@pytest.mark.parametrize("change", [{"rows": 1}, {"columns": ("b",)}])
def test_rows_and_columns_are_what_the_reference_says(tmp_path: Path, change: dict[str, object]) -> None:
    root = Root.at(tmp_path)
    (ref,) = write(root, table("one", "two"))
    with pytest.raises(Damaged, match="other rows or columns"):
        read_shard(root, ref.model_copy(update=change))


@pytest.mark.parametrize("knows_checksum", [False, True])
def test_a_pickle_in_place_of_a_shard_is_not_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, knows_checksum: bool
) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    root = Root.at(tmp_path / "store")
    (ref,) = write(root, table("one"))
    path = file_of(root, ref)
    path.write_bytes(pickle.dumps(Poison()))
    if knows_checksum:
        ref = ref.model_copy(update={"file": FileMark.of(path.name, path.read_bytes())})
    with pytest.raises(Damaged):
        read_shard(root, ref)
    assert not (tmp_path / "trace").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "trace").exists()


def test_a_shard_whose_folder_is_gone_says_so(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    (ref,) = write(root, table("one"))
    shutil.rmtree(tmp_path / ref.uri)
    with pytest.raises(Damaged, match="is gone"):
        read_shard(root, ref)
    assert ref.file is not None
    (damage,) = find_damage(root, ref.uri, [ref.file])
    assert damage.is_gone
