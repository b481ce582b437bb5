"""Shards on disk: Arrow files that ``datasets.load_from_disk`` opens, and the small references that tasks hand on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.errors import StoreError
from sdg_prefect.frozen import Frozen, digest
from sdg_prefect.rows import child_id, concat, fingerprint, ids_of, with_ids
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

REPEAT = "IterBlock"
"""The maker of the ids that rows get in each round of a repetition."""


_DATA = "data-00000-of-00001.arrow"
_INFO = "dataset_info.json"
_STATE = "state.json"
_READ_TRIES = 3
_READ_PAUSE = 0.02
_PLAIN_FORMAT: dict[str, object] = {
    "_format_columns": None,
    "_format_kwargs": {},
    "_format_type": None,
    "_output_all_columns": False,
}


class DatasetRef(Frozen):
    """Where a shard is: a run of rows in an Arrow dataset of the store."""

    uri: str
    """Folder below the store's root."""
    start: int = 0
    """First row of the shard in that dataset."""
    rows: int
    """Number of rows."""
    fingerprint: str
    """Hash of the rows: ids, columns, values."""
    columns: tuple[str, ...]
    """The columns, without the row ids."""
    rounds: tuple[int, ...] = ()
    """Rounds of the repetitions that the rows are in; row ids are derived anew for each."""

    @property
    def content(self) -> str:
        """What the rows are, rounds included: the part of a checkpoint's key that comes from its input."""
        return digest(self.fingerprint, self.rounds) if self.rounds else self.fingerprint

    def in_round(self, number: int) -> DatasetRef:
        """Return the same rows, as the input of one round of a repetition."""
        return self.model_copy(update={"rounds": (*self.rounds, number)})


def write_shards(
    root: Root, folder: str, parts: Sequence[pa.Table], beside: Mapping[str, bytes] | None = None
) -> list[DatasetRef]:
    """Write tables one after another as one dataset, and return a reference to each.

    Args:
        root: The store.
        folder: Where, below the root. What is there is replaced.
        parts: Tables with row ids. Each becomes a shard; all share one schema, the widest of theirs.
        beside: Files that go into the same folder, by name.
    """
    whole = concat(list(parts))
    refs, start = [], 0
    for part in parts:
        table = whole.slice(start, part.num_rows)
        columns = tuple(whole.column_names[1:])
        refs.append(DatasetRef(uri=folder, start=start, rows=part.num_rows, fingerprint=fingerprint(table), columns=columns))
        start += part.num_rows
    mark = digest([ref.fingerprint for ref in refs], sorted((beside or {}).items()))
    if _mark_of(root, folder) != mark:
        _put(root, folder, whole, mark, beside or {})
    return refs


def _mark_of(root: Root, folder: str) -> str:
    """Return the hash of what a folder holds; empty where it holds nothing. What is there already is not written again."""
    try:
        mark = str(json.loads(root.read(folder, _STATE)).get("_fingerprint"))
        return mark if root.exists(folder, _DATA) else ""
    except (OSError, ValueError):
        return ""


def _put(root: Root, folder: str, table: pa.Table, mark: str, beside: Mapping[str, bytes]) -> None:
    workspace = root.workspace()
    try:
        _save(table, workspace, mark)
        for name, content in beside.items():
            (workspace / name).write_bytes(content)
        root.adopt(workspace, folder)
    except OSError as error:
        raise StoreError(f"cannot write {root.url(folder)}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def read_shard(root: Root, ref: DatasetRef) -> pa.Table:
    """Read the rows of a reference, with their ids; local files are mapped, not copied.

    Raises:
        StoreError: The data is gone or damaged.
    """
    import pyarrow as pa

    try:
        table = _read_files(root, ref.uri)
    except (OSError, ValueError, KeyError, pa.ArrowInvalid) as error:
        raise StoreError(f"shard {root.url(ref.uri)} cannot be read: {error}.", "Remove it and run again.") from error
    part = table.slice(ref.start, ref.rows).replace_schema_metadata(None)
    if part.num_rows != ref.rows:
        raise StoreError(f"shard {root.url(ref.uri)} has {part.num_rows} rows, not {ref.rows}.", "Remove it and run again.")
    for number in ref.rounds:
        part = with_ids(part, [child_id(row_id, REPEAT, number) for row_id in ids_of(part)])
    return part


def is_there(root: Root, ref: DatasetRef) -> bool:
    """True if the data of a reference is where it should be."""
    return root.exists(ref.uri, _STATE) and root.exists(ref.uri, _DATA)


def _save(table: pa.Table, folder: Path, mark: str) -> None:
    """Write a table as the files that ``datasets.load_from_disk`` opens.

    ``Dataset.save_to_disk`` writes the same, but spends most of its time copying metadata in Python, which holds up every other
    shard of the process.
    """
    import pyarrow as pa

    plain = table.replace_schema_metadata(None)
    with pa.OSFile(str(folder / _DATA), "wb") as sink, pa.ipc.new_stream(sink, plain.schema) as writer:
        writer.write_table(plain)
    state = {"_data_files": [{"filename": _DATA}], "_fingerprint": mark, "_split": None, **_PLAIN_FORMAT}
    (folder / _INFO).write_text(json.dumps({"description": "", "citation": "", "homepage": "", "license": ""}))
    (folder / _STATE).write_text(json.dumps(state))


def _read_files(root: Root, folder: str) -> pa.Table:
    """Read the Arrow files of a dataset; again if another run is just putting the same one in its place."""
    for tries_left in reversed(range(_READ_TRIES)):
        try:
            state = json.loads(root.read(folder, _STATE))
            return concat([_read_stream(root, folder, entry["filename"]) for entry in state["_data_files"]])
        except FileNotFoundError:
            if not tries_left:
                raise
            time.sleep(_READ_PAUSE)
    raise FileNotFoundError(folder)


def _read_stream(root: Root, folder: str, file: str) -> pa.Table:
    import pyarrow as pa

    if root.is_remote:
        return pa.ipc.open_stream(root.read(folder, file)).read_all()
    with pa.memory_map(root.path(folder, file)) as mapped:
        return pa.ipc.open_stream(mapped).read_all()
