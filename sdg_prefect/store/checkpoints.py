"""Checkpoints: a finished (block, shard) as Prefect records it, with its counts and its rejected rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from sdg_prefect.counts import Counts
from sdg_prefect.frozen import Frozen, canonical
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, is_there, write_shards

if TYPE_CHECKING:
    import pyarrow as pa

REJECTS = "rejects.jsonl"
RECORD = "result.json"
"""Prefect's result record, written last: the checkpoint counts as finished when it is there."""


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
    row: str = "{}"
    """The row as it was, as JSON."""


class Checkpoint(Frozen):
    """What a task returns: where its rows are, and what happened."""

    parts: tuple[DatasetRef, ...]
    """The shards that the task wrote. More than one where the order of rows is part-major over all shards."""
    counts: Counts = Field(default_factory=Counts)
    transient_rejects: int = 0
    """Rejected rows that may succeed later; a new run makes such a checkpoint again."""
    run_id: str = ""
    """The run that made it: a replayed checkpoint carries another one."""
    seconds: float = 0.0
    """Time that the block took on this shard."""


def checkpoint_folder(block_key: str, checkpoint_key: str) -> str:
    """Return the folder of a checkpoint, below the store's root."""
    return f"checkpoints/{block_key}/{checkpoint_key}"


def write_checkpoint(
    root: Root, folder: str, parts: Sequence[pa.Table], counts: Counts, rejects: Sequence[Reject], run_id: str, seconds: float
) -> Checkpoint:
    """Write the rows and rejects of a finished block; the record that says so is Prefect's to write, afterwards."""
    lines = b"".join(canonical(reject.model_dump()) + b"\n" for reject in rejects)
    refs = write_shards(root, folder, parts, {REJECTS: lines} if rejects else {})
    return Checkpoint(
        parts=tuple(refs),
        counts=counts,
        transient_rejects=sum(reject.transient for reject in rejects),
        run_id=run_id,
        seconds=seconds,
    )


def read_rejects(root: Root, folder: str) -> list[Reject]:
    """Read the rejected rows of a checkpoint."""
    try:
        lines = root.read(folder, REJECTS).splitlines()
    except FileNotFoundError:
        return []
    return [Reject.model_validate_json(line) for line in lines]


def is_usable(root: Root, checkpoint: Checkpoint, run_id: str) -> bool:
    """True if a recorded checkpoint may stand for its block: its data is there, and no row of it deserves another try."""
    if checkpoint.transient_rejects and checkpoint.run_id != run_id:
        return False
    return all(is_there(root, ref) for ref in checkpoint.parts[:1])
