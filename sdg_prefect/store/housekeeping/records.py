"""The records of many checkpoints, and of the seeds' shards, which are kept in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sdg_prefect.store.checkpoints import BrokenRecord, Checkpoint, read_record

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

T = TypeVar("T")

RECORDED = ("checkpoints", "inputs")
"""The parts of a store that have a record beside their data."""
_AT_ONCE = 16


def read_records(root: Root, folders: Iterable[str]) -> dict[str, Checkpoint | BrokenRecord | None]:
    """Read records by their folders: what is wrong where one is damaged, None where there is none."""
    return for_each(folders, partial(read_one, root))


def read_one(root: Root, folder: str) -> Checkpoint | BrokenRecord | None:
    """Read a record: what is wrong if it is damaged, None if there is none."""
    try:
        return read_record(root, folder)
    except BrokenRecord as broken:
        return broken


def for_each(paths: Iterable[str], read: Callable[[str], T]) -> dict[str, T]:
    """Read several things of a store at once: S3 takes its time with each."""
    asked = list(paths)
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(asked, threads.map(read, asked), strict=True))
