"""Shards on disk: Arrow files that ``datasets.load_from_disk`` opens, and the small references that tasks hand on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from sdg_prefect.errors import StoreError
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.frozen import Frozen, digest
from sdg_prefect.rows import ROW_ID, concat, in_round
from sdg_prefect.spill import spilled
from sdg_prefect.store.arrow_folder import records
from sdg_prefect.store.integrity import GONE, Damage, Damaged, FileMark, find_damage, mark_file, set_aside, wrong_with
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

_TRIES = 20
"""How often data is put in its place while other processes put the same there and it is found damaged."""


def _inside(uri: str) -> str:
    """Refuse a folder that is not below the root; see ``FileMark.name``."""
    if uri and not {"", ".", ".."}.isdisjoint(uri.split("/")):
        raise ValueError(f"'{uri}' is no folder of a store")
    return uri


class DatasetRef(Frozen):
    """Where a shard is: an Arrow file of a dataset of the store."""

    uri: Annotated[str, AfterValidator(_inside)]
    """Folder of the dataset, below the store's root."""
    rows: int
    """Number of rows."""
    fingerprint: str
    """Hash of the rows: ids, columns, values."""
    columns: tuple[str, ...]
    """The columns, without the row ids."""
    file: FileMark | None = None
    """The file in that folder; None for rows that are only foreseen."""
    rounds: tuple[int, ...] = ()
    """Rounds of the repetitions that the rows are in; row ids are derived anew for each."""

    @property
    def content(self) -> str:
        """What the rows are, rounds included: the part of a checkpoint's key that comes from its input."""
        return digest(self.fingerprint, self.rounds) if self.rounds else self.fingerprint

    def in_round(self, number: int) -> DatasetRef:
        """Return the same rows, as the input of one round of a repetition."""
        return self.model_copy(update={"rounds": (*self.rounds, number)})


@dataclass(frozen=True, slots=True)
class Written:
    """A dataset that is in the store."""

    refs: tuple[DatasetRef, ...]
    """Its shards."""
    beside: tuple[FileMark, ...]
    """The files of its folder that are no shards."""


def write_shards(root: Root, folder: str, parts: Sequence[pa.Table], beside: Mapping[str, bytes] | None = None) -> Written:
    """Write tables one after another as one dataset.

    The data goes into a folder of its own below ``folder``, which is named by the checksums of its files. So it is never changed:
    what is there already and undamaged is not written again, and what differs lies elsewhere.

    The files are not forced to the disk, which would cost a shard more than all its other work. What a power cut takes is found
    by its checksum and made again from the ledger, which is forced.

    Args:
        root: The store.
        folder: Where, below the root.
        parts: Tables with row ids. Each becomes a shard in a file of its own; all share one schema, the widest of theirs.
        beside: Files that go into the same folder, by name.
    """
    whole = concat(list(parts)).replace_schema_metadata(None)
    workspace = root.workspace()
    try:
        shards, start = [], 0
        for number, part in enumerate(parts):
            table = whole.slice(start, part.num_rows)
            file = _save_table(table, workspace / f"data-{number:05d}-of-{len(parts):05d}.arrow")
            shards.append((table.num_rows, fingerprint(table), file))
            start += part.num_rows
        others = {**records([file.name for *_, file in shards], digest([print_ for _, print_, _ in shards])), **(beside or {})}
        files = [_save(content, workspace / name) for name, content in sorted(others.items())]
        uri = f"{folder}/{digest([(file.name, file.checksum) for file in (*(file for *_, file in shards), *files)])}"
        _put(root, workspace, uri, [*(file for *_, file in shards), *files])
    except OSError as error:
        raise StoreError(f"cannot write {root.url(folder)}: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    columns = tuple(whole.column_names[1:])
    refs = [DatasetRef(uri=uri, rows=rows, fingerprint=print_, columns=columns, file=file) for rows, print_, file in shards]
    return Written(tuple(refs), tuple(files))


def _put(root: Root, workspace: Path, uri: str, files: Sequence[FileMark]) -> None:
    """Put finished data in its place, unless the same is there; what is there damaged is set aside."""
    if root.is_remote:
        if damages := find_damage(root, uri, files):
            if there := [damage for damage in damages if not damage.is_gone]:
                set_aside(root, there)
            root.adopt(workspace, uri)
        return
    for _ in range(_TRIES):
        if root.adopt(workspace, uri):
            return
        damages = find_damage(root, uri, files)
        if not damages:
            return
        set_aside(root, damages)
    raise StoreError(f"cannot write {root.url(uri)}: it is damaged again and again.", "Look at the disk and its other users.")


def _save_table(table: pa.Table, path: Path) -> FileMark:
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return mark_file(path)


def _save(content: bytes, path: Path) -> FileMark:
    path.write_bytes(content)
    return FileMark.of(path.name, content)


def read_shards(root: Root, refs: Sequence[DatasetRef]) -> list[pa.Table]:
    """Read the rows of references; see ``read_shard``. Those of a remote store are put into a local file where they are many.

    Raises:
        Damaged: With all that is damaged.
        StoreError: The store cannot be read.
    """
    damages: list[Damage] = []
    found = _undamaged(root, refs, damages)
    tables = spilled(found) if root.is_remote else list(found)
    if damages:
        raise Damaged(damages)
    return tables


def _undamaged(root: Root, refs: Sequence[DatasetRef], damages: list[Damage]) -> Iterator[pa.Table]:
    """Yield the rows of the references that can be read, and note what is wrong with the others."""
    for ref in refs:
        try:
            yield read_shard(root, ref)
        except Damaged as found:
            damages += found.damages


def read_shard(root: Root, ref: DatasetRef) -> pa.Table:
    """Read the rows of a reference, with their ids; local files are mapped, not copied.

    Nothing is parsed before its checksum is found right, and nothing is ever unpickled.

    Raises:
        Damaged: The file is gone, or not what was written.
        StoreError: The store cannot be read.
    """
    import pyarrow as pa

    if ref.file is None:
        raise StoreError("rows that are only foreseen cannot be read.")
    try:
        content = _content(root, ref.uri, ref.file)
        table = pa.ipc.open_stream(content).read_all()
    except FileNotFoundError as error:
        raise Damaged([Damage(ref.uri, ref.file, GONE)]) from error
    except pa.ArrowInvalid as error:
        raise Damaged([Damage(ref.uri, ref.file, "is no Arrow file")]) from error
    except OSError as error:
        raise StoreError(f"shard {root.url(ref.uri, ref.file.name)} cannot be read: {error.strerror or error}.") from error
    if (table.num_rows, tuple(table.column_names)) != (ref.rows, (ROW_ID, *ref.columns)):
        raise Damaged([Damage(ref.uri, ref.file, "holds other rows or columns than its record says")])
    for number in ref.rounds:
        table = in_round(table, number)
    return table


def _content(root: Root, folder: str, file: FileMark) -> bytes | pa.Buffer:
    """Return the bytes of a file, which are what was written."""
    import pyarrow as pa

    content = b""
    if root.is_remote:
        content = root.read(folder, file.name)
    elif not os.path.isfile(path := root.path(folder, file.name)):
        raise Damaged([Damage(folder, file, GONE)])
    elif os.path.getsize(path):
        with pa.memory_map(path) as mapped:
            content = mapped.read_buffer()
    if what := wrong_with(content, file):
        raise Damaged([Damage(folder, file, what)])
    return content
