"""Checkpoints: a finished (block, shard) as Prefect records it, with its counts and its rejected rows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sdg_prefect.counts import Counts
from sdg_prefect.errors import StoreError
from sdg_prefect.frequencies import Seen
from sdg_prefect.frozen import Frozen, canonical
from sdg_prefect.store.integrity import Damage, Damaged, FileMark, checksum, find_damage, set_aside, set_file_aside, wrong_with
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shards, write_shards

if TYPE_CHECKING:
    import pyarrow as pa

REJECTS = "rejects.jsonl"
RECORD = "result.json"
"""Prefect's result record, written last: the checkpoint counts as finished when it is there."""
_SEAL = "checksum"
"""The field of a record that holds the checksum of all others."""


class BrokenRecord(StoreError):
    """The record of a checkpoint is damaged."""

    def __init__(self, folder: str, what: str) -> None:
        super().__init__(f"{folder}/{RECORD} {what}.", "The same command sets it aside and makes it again.")
        self.folder = folder
        self.what = what

    def __reduce__(self) -> tuple[type[StoreError], tuple[Any, ...]]:
        return BrokenRecord, (self.folder, self.what)


class Reject(Frozen):
    """A row that failed, and why."""

    row_id: str
    block: str
    error: str
    """Class of the error, such as ``NothingParsed`` or ``ContextWindowExceeded``."""
    message: str
    attempts: int = 1
    raw: str = ""
    """What the model replied, if it did."""
    transient: bool = False
    """True where the same row may succeed later: a new run tries it again."""
    cost_usd: float | None = 0.0
    """What its calls have cost, whenever they were paid; None where a price is not known."""
    row: str = "{}"
    """The row as it was, as JSON."""


class Checkpoint(Frozen):
    """What a task returns: where its rows are, and what happened."""

    parts: tuple[DatasetRef, ...]
    """The shards that the task wrote. More than one where the order of rows is part-major over all shards."""
    lanes: tuple[int, ...] = ()
    """Where the task parted rows into lanes: for each shard the lane that it belongs to."""
    beside: tuple[FileMark, ...] = ()
    """The other files of the folder in which the shards are, the rejects among them."""
    counts: Counts = Field(default_factory=Counts)
    why: Mapping[str, int] = Field(default_factory=dict)
    """How many rows were rejected, by class of error."""
    transient_rejects: int = 0
    """Rejected rows that may succeed later; a new run makes such a checkpoint again."""
    run_id: str = ""
    """The run that made it: a replayed checkpoint carries another one."""
    seconds: float = 0.0
    """Time that the block took on this shard."""
    seen: Seen = Field(default_factory=dict)
    """What was seen of the completions behind its rows."""

    @property
    def folder(self) -> str:
        """The folder of its data, below the store's root."""
        return self.parts[0].uri

    @property
    def files(self) -> list[FileMark]:
        """Every file of its data."""
        return [*(part.file for part in self.parts if part.file is not None), *self.beside]

    @property
    def rejects(self) -> FileMark | None:
        """The file of its rejected rows, where there are any."""
        return next((file for file in self.beside if file.name == REJECTS), None)


def checkpoint_folder(block_key: str, checkpoint_key: str) -> str:
    """Return the folder of a checkpoint, below the store's root: its record, and a folder for the data of each content."""
    return f"checkpoints/{block_key}/{checkpoint_key}"


def write_checkpoint(
    root: Root,
    folder: str,
    parts: Sequence[pa.Table],
    counts: Counts,
    rejects: Sequence[Reject],
    run_id: str,
    seconds: float,
    lanes: Sequence[int] = (),
    seen: Seen | None = None,
) -> Checkpoint:
    """Write the rows and rejects of a finished block; the record that says so is Prefect's to write, afterwards."""
    lines = b"".join(canonical(reject.model_dump()) + b"\n" for reject in rejects)
    written = write_shards(root, folder, parts, {REJECTS: lines} if rejects else {})
    return Checkpoint(
        parts=written.refs,
        lanes=tuple(lanes),
        beside=written.beside,
        counts=counts,
        why=dict(Counter(reject.error for reject in rejects)),
        transient_rejects=sum(reject.transient for reject in rejects),
        run_id=run_id,
        seconds=seconds,
        seen=seen or {},
    )


def read_rejects(root: Root, checkpoint: Checkpoint) -> list[Reject]:
    """Read the rejected rows of a checkpoint.

    Raises:
        Damaged: The file is gone, or not what was written.
    """
    file = checkpoint.rejects
    if file is None:
        return []
    try:
        content = root.read(checkpoint.folder, file.name)
    except FileNotFoundError as error:
        raise Damaged([Damage(checkpoint.folder, file, "is gone")]) from error
    if what := wrong_with(content, file):
        raise Damaged([Damage(checkpoint.folder, file, what)])
    return [Reject.model_validate_json(line) for line in content.splitlines()]


def sealed(record: bytes) -> bytes:
    """Return a record, which is a JSON object, with a checksum of its own in it."""
    content = json.loads(record)
    content.pop(_SEAL, None)
    return canonical({**content, _SEAL: checksum(canonical(content))})


def read_record(root: Root, folder: str) -> Checkpoint | None:
    """Read the record of a checkpoint; None where there is none.

    It is read as plain JSON of one known form. Prefect's own reading would follow whatever the file names as its way of reading.

    Raises:
        BrokenRecord: The record is damaged.
    """
    try:
        content = root.read(folder, RECORD)
    except FileNotFoundError:
        return None
    except StoreError as error:
        if isinstance(error.__cause__, IsADirectoryError):
            raise BrokenRecord(folder, "is a folder") from error
        raise
    try:
        record = json.loads(content)
        seal = record.pop(_SEAL)
        if seal != checksum(canonical(record)):
            raise BrokenRecord(folder, "is not what was written")
        checkpoint = Checkpoint.model_validate(json.loads(record["result"])["data"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenRecord(folder, "is no record of a checkpoint") from error
    if not _is_of(folder, checkpoint):
        raise BrokenRecord(folder, "is the record of another checkpoint")
    return checkpoint


def _is_of(folder: str, checkpoint: Checkpoint) -> bool:
    """True if the data of a checkpoint is in its folder: a record leads nowhere else."""
    uris = {part.uri for part in checkpoint.parts}
    return len(uris) == 1 and uris.pop().rpartition("/")[0] == folder and all(part.file is not None for part in checkpoint.parts)


def recall(root: Root, folder: str, run_id: str, *, is_suspect: bool = False, retry_rejects: bool = False) -> Checkpoint | None:
    """Find a finished checkpoint that may stand for its block; what is found damaged is set aside, and makes it a miss.

    Args:
        root: The store.
        folder: The folder of the checkpoint.
        run_id: The run that asks.
        is_suspect: True if something was wrong with its data; then all of it is read, wherever it is.
        retry_rejects: True if every row that another run rejected deserves another try.
    """
    try:
        checkpoint = read_record(root, folder)
    except BrokenRecord as broken:
        set_file_aside(root, f"{folder}/{RECORD}", broken.what)
        return None
    if checkpoint is None or _deserves_another_try(checkpoint, run_id, retry_rejects=retry_rejects):
        return None
    damages = _damages(root, checkpoint, is_suspect=is_suspect)
    if damages:
        set_aside(root, damages, f"{folder}/{RECORD}")
        return None
    return checkpoint


def _damages(root: Root, checkpoint: Checkpoint, *, is_suspect: bool = False) -> Sequence[Damage]:
    damages: Sequence[Damage] = find_damage(root, checkpoint.folder, checkpoint.files, is_whole=True if is_suspect else None)
    if is_suspect and not damages:
        try:
            read_shards(root, checkpoint.parts)
        except Damaged as found:
            damages = found.damages
    return damages


def is_usable(root: Root, checkpoint: Checkpoint, run_id: str, *, retry_rejects: bool = False) -> bool:
    """True if a recorded checkpoint may stand for its block: its data is whole, and no row of it deserves another try."""
    return not _deserves_another_try(checkpoint, run_id, retry_rejects=retry_rejects) and not _damages(root, checkpoint)


def _deserves_another_try(checkpoint: Checkpoint, run_id: str, *, retry_rejects: bool) -> bool:
    rejected = checkpoint.counts.rejected if retry_rejects else checkpoint.transient_rejects
    return bool(rejected) and checkpoint.run_id != run_id


def keep_seeds(
    root: Root, folder: str, give: Callable[[], Sequence[pa.Table]], run_id: str, *, is_suspect: bool = False
) -> Checkpoint:
    """Keep the seeds of a run as shards, with a record like that of a checkpoint, unless they are in the store already.

    Args:
        root: The store.
        folder: Where, below the root.
        give: Returns the seeds, cut into shards, if they are wanted.
        run_id: The run.
        is_suspect: True if something was wrong with the data that is there; then all of it is read.
    """
    found = recall(root, folder, run_id, is_suspect=is_suspect)
    if found is not None:
        return found
    made = write_checkpoint(root, folder, give(), Counts(), [], run_id, 0.0)
    result = canonical({"data": made.model_dump()}).decode()
    root.write(sealed(canonical({"result": result})), folder, RECORD)
    return made
