"""Checkpoints: a record speaks of its own data only, and what is damaged counts as missing."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - to poison a file
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from sdg_prefect.counts import Counts
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import with_ids
from sdg_prefect.store.checkpoints import (
    RECORD,
    REJECTS,
    BrokenRecord,
    Checkpoint,
    Reject,
    checkpoint_folder,
    is_usable,
    keep_seeds,
    read_record,
    read_rejects,
    recall,
    sealed,
    write_checkpoint,
)
from sdg_prefect.store.integrity import Damaged
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shard
from tests.damage import Poison, flip, flipped, truncate

FOLDER = checkpoint_folder("block", "key")
REJECT = Reject(row_id="id-x", block="ask", error="NothingParsed", message="no tags")


def table(*values: object) -> pa.Table:
    """Return rows of one column, with ids."""
    return with_ids(pa.table({"a": list(values)}), [f"id-{value}" for value in values])


def record_of(checkpoint: Checkpoint) -> bytes:
    """Return a record as Prefect writes it."""
    result = {"__class__": "sdg_prefect.store.checkpoints.Checkpoint", "data": checkpoint.model_dump()}
    return canonical({"metadata": {"serializer": {"type": "json"}}, "result": canonical(result).decode()})


def finish(root: Root, *values: object, rejects: tuple[Reject, ...] = (REJECT,), run_id: str = "run") -> Checkpoint:
    """Write a checkpoint and its record."""
    made = write_checkpoint(root, FOLDER, [table(*values)], Counts(rows_in=9), rejects, run_id, 0.5)
    root.write(sealed(record_of(made)), FOLDER, RECORD)
    return made


def replace_by_json(path: Path) -> None:
    """Put JSON of another kind in the place of a file."""
    path.write_text("[[{}]]", "utf-8")


def replace_by_a_folder(path: Path) -> None:
    """Put a folder in the place of a file."""
    path.unlink()
    (path / path.name).mkdir(parents=True)
    (path / path.name / path.name).write_text("", "utf-8")


def put_aside(root: Root) -> list[str]:
    """Return the names of the files that were set aside."""
    return sorted(path.name for path in Path(root.path("damaged")).rglob("*") if path.is_file())


def test_a_finished_checkpoint_is_recalled(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one", "two")
    assert recall(root, FOLDER, "other") == made
    assert is_usable(root, made, "other")
    assert read_rejects(root, made) == [REJECT]
    assert {path.name for path in (tmp_path / FOLDER).iterdir()} == {RECORD, made.folder.rsplit("/", 1)[-1]}


def test_a_checkpoint_that_never_was_is_missing(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    assert (read_record(root, FOLDER), recall(root, FOLDER, "run")) == (None, None)
    assert not (tmp_path / "damaged").exists()


def test_rows_that_may_succeed_later_are_tried_again_by_another_run_only(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one", rejects=(REJECT.model_copy(update={"transient": True}),), run_id="first")
    assert recall(root, FOLDER, "first") == made
    assert recall(root, FOLDER, "second") is None
    assert not is_usable(root, made, "second")


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("name", ["data-00000-of-00001.arrow", "state.json", "dataset_info.json", REJECTS])
def test_a_checkpoint_with_a_damaged_file_is_missing(
    tmp_path: Path, name: str, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one")
    damage(tmp_path / made.folder / name)
    assert not is_usable(root, made, "run")
    assert recall(root, FOLDER, "run") is None
    (line,) = caplog.messages
    (aside,) = (tmp_path / "damaged").iterdir()
    assert f"{made.folder}/{name}" in line
    assert str(aside) in line
    assert recall(root, FOLDER, "run") is None
    assert len(caplog.messages) == 1
    assert finish(root, "one") == made
    assert recall(root, FOLDER, "run") == made


@pytest.mark.parametrize("damage", [flip, truncate, replace_by_json, replace_by_a_folder])
def test_a_damaged_record_is_set_aside_and_its_data_is_not(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one")
    damage(tmp_path / FOLDER / RECORD)
    with pytest.raises(BrokenRecord):
        read_record(root, FOLDER)
    assert recall(root, FOLDER, "run") is None
    assert put_aside(root) == [RECORD]
    assert f"{FOLDER}/{RECORD}" in caplog.text
    assert read_shard(root, made.parts[0]).num_rows == 1


@pytest.mark.parametrize("place", [("counts", "rows_in"), ("seconds",), ("run_id",)])
def test_an_edited_record_is_damaged(tmp_path: Path, place: tuple[str, ...]) -> None:
    root = Root.at(tmp_path)
    finish(root, "one")
    record = json.loads(root.read(FOLDER, RECORD))
    result = json.loads(record["result"])
    held = result["data"]
    for word in place[:-1]:
        held = held[word]
    held[place[-1]] = "7" if place == ("run_id",) else 7
    root.write(canonical({**record, "result": canonical(result).decode()}), FOLDER, RECORD)
    assert recall(root, FOLDER, "run") is None
    assert put_aside(root) == [RECORD]


def test_a_record_in_the_place_of_another_is_damaged(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    finish(root, "one")
    other = checkpoint_folder("block", "other")
    root.write(root.read(FOLDER, RECORD), other, RECORD)
    with pytest.raises(BrokenRecord, match="another checkpoint"):
        read_record(root, other)


def test_a_record_leads_to_no_place_outside_of_its_folder(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one")
    parts = tuple(part.model_copy(update={"uri": f"{FOLDER}/../../elsewhere"}) for part in made.parts)
    root.write(sealed(record_of(made.model_copy(update={"parts": parts}))), FOLDER, RECORD)
    with pytest.raises(BrokenRecord):
        read_record(root, FOLDER)


def test_a_pickle_in_a_record_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    root = Root.at(tmp_path / "store")
    root.write(sealed(canonical({"result": pickle.dumps(Poison()).hex()})), FOLDER, RECORD)
    assert recall(root, FOLDER, "run") is None
    root.write(pickle.dumps(Poison()), FOLDER, RECORD)
    assert recall(root, FOLDER, "run") is None
    assert not (tmp_path / "trace").exists()
    assert put_aside(root) == [RECORD, RECORD]


def test_rejects_that_are_damaged_are_not_read(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    made = finish(root, "one")
    flip(tmp_path / made.folder / REJECTS)
    with pytest.raises(Damaged, match=REJECTS):
        read_rejects(root, made)


def test_runs_that_finish_the_same_checkpoint_differently_keep_their_own_data(tmp_path: Path) -> None:
    root = Root.at(tmp_path)

    def run(name: str) -> None:
        for number in range(15):
            reject = REJECT.model_copy(update={"raw": f"{name} {number}"})
            made = finish(root, f"{name} {number}", rejects=(reject,), run_id=name)
            assert read_shard(root, made.parts[0]).column("a").to_pylist() == [f"{name} {number}"]
            assert read_rejects(root, made) == [reject]
            found = recall(root, FOLDER, name)
            assert found is not None
            (said,) = read_shard(root, found.parts[0]).column("a").to_pylist()
            assert [one.raw for one in read_rejects(root, found)] == [said]
            assert found.run_id == said.split()[0]

    with ThreadPoolExecutor() as threads:
        list(threads.map(run, ("first", "second", "third")))
    assert not (tmp_path / "damaged").exists()


def test_seeds_are_kept_once_and_again_when_they_are_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = Root.at(tmp_path)
    seeds = [table("one", "two"), table("three")]
    kept = keep_seeds(root, "inputs/x", lambda: seeds, "first")
    assert [read_shard(root, ref).num_rows for ref in kept.parts] == [2, 1]
    assert keep_seeds(root, "inputs/x", lambda: seeds, "second") == kept
    flip(tmp_path / kept.folder / "data-00001-of-00002.arrow")
    assert keep_seeds(root, "inputs/x", lambda: seeds, "third").parts == kept.parts
    assert read_shard(root, kept.parts[1]).num_rows == 1
    assert "data-00001-of-00002.arrow" in caplog.text
    assert "data-00001-of-00002.arrow" in put_aside(root)


@pytest.fixture
def remote() -> Iterator[Root]:
    """A store of objects, in memory."""
    filesystem = MemoryFileSystem()
    filesystem.store.clear()
    yield Root.at("memory://bucket/store")
    filesystem.store.clear()


def test_objects_that_a_crash_left_without_the_others_are_completed(remote: Root, caplog: pytest.LogCaptureFixture) -> None:
    made = finish(remote, "one")
    remote.remove(FOLDER, RECORD)
    remote.remove(made.folder, "state.json")
    assert recall(remote, FOLDER, "run") is None
    assert finish(remote, "one") == made
    assert recall(remote, FOLDER, "run") == made
    assert caplog.messages == []
    assert not remote.exists("damaged")


def test_an_object_of_another_size_is_set_aside_alone(remote: Root, caplog: pytest.LogCaptureFixture) -> None:
    made = finish(remote, "one")
    remote.write(b"{}", made.folder, "state.json")
    assert recall(remote, FOLDER, "run") is None
    assert recall(remote, FOLDER, "run") is None
    (line,) = caplog.messages
    assert "state.json has 2 bytes instead of" in line
    assert [path.rpartition("/")[2] for path in remote.filesystem.find(remote.path("damaged"))] == [RECORD, "state.json"]
    assert set(remote.sizes(made.folder)) == {file.name for file in made.files} - {"state.json"}
    assert finish(remote, "one") == made
    assert recall(remote, FOLDER, "run") == made


def test_an_altered_object_is_found_when_it_is_read(remote: Root) -> None:
    made = finish(remote, "one")
    (part,) = made.parts
    assert part.file is not None
    remote.write(flipped(remote.read(part.uri, part.file.name)), part.uri, part.file.name)
    assert recall(remote, FOLDER, "run") == made
    with pytest.raises(Damaged):
        read_shard(remote, part)
    assert recall(remote, FOLDER, "run", is_suspect=True) is None
    assert finish(remote, "one") == made
    assert read_shard(remote, part).num_rows == 1
