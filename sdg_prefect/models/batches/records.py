"""The batches at one address that are not settled yet, as the store knows them: which requests they hold."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from sdg_prefect.frozen import digest
from sdg_prefect.models.batches.client import VERSION, Outcome
from sdg_prefect.models.completion import Route


class BatchRecords(Protocol):
    """Keeps what is known of batches, so that any run on the same store can collect them. Methods are called in threads."""

    def read(self, place: str, known: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the records at a place by their names, but for those that are known."""
        ...

    def write(self, place: str, name: str, record: Mapping[str, Any]) -> None:
        """Make a record durable; it takes the place of the one of that name."""
        ...

    def remove(self, place: str, name: str) -> None:
        """Remove a record; nothing happens if it is not there."""
        ...


class Unkept:
    """Keeps nothing: batches are known to this run alone."""

    def read(self, place: str, known: Collection[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return nothing."""
        return {}

    def write(self, place: str, name: str, record: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def remove(self, place: str, name: str) -> None:
        """Do nothing."""


@dataclass(eq=False)
class Batch:
    """A batch whose requests are not all settled: their completions in the ledger, or their failures told."""

    marker: str
    path: str
    keys: tuple[str, ...]
    """The keys of its completions, which are the ids of its requests, in the order of its lines."""
    created: float
    """Unix time."""
    file_id: str = ""
    id: str = ""
    """The provider's id; empty as long as it is not known whether the provider has it."""
    left: set[str] = field(default_factory=set)
    """Keys that are not settled."""
    outcomes: dict[str, Outcome] | None = None
    """What came of it, once that was fetched."""

    @classmethod
    def new(cls, path: str, keys: tuple[str, ...], created: float) -> Batch:
        """Describe a batch that is about to be submitted. Asked again, the same requests get another marker."""
        return cls(digest("batch", keys, created), path, keys, created, left=set(keys))

    @property
    def route(self) -> Route:
        """Where each of its requests would go as a call."""
        return cast("Route", self.path.removeprefix(VERSION))

    @property
    def name(self) -> str:
        """Its name for people."""
        return self.id if self.id.startswith("batch") else f"batch {self.id or self.marker}"

    def to_record(self) -> dict[str, Any]:
        """Return the JSON-like record that is kept."""
        return {"path": self.path, "created": self.created, "file_id": self.file_id, "id": self.id, "keys": list(self.keys)}

    @classmethod
    def from_record(cls, marker: str, record: Mapping[str, Any]) -> Batch:
        """Read a record."""
        keys = tuple(record["keys"])
        return cls(marker, record["path"], keys, record["created"], record["file_id"], record["id"], set(keys))


class Shelf:
    """The batches at one address. Lives on the run's event loop; of two that hold a request the later one counts."""

    def __init__(self, records: BatchRecords, place: str) -> None:
        self._records = records
        self._place = place
        self._batches: dict[str, Batch] = {}
        self._by_key: dict[str, Batch] = {}
        self._known: set[str] = set()
        """Markers of all batches that were ever here, or are being written: their records are not read."""
        self._at_work: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Read the records that are not known yet, those of other runs among them."""
        self._take(self._records.read(self._place, self._known))

    async def refresh(self) -> None:
        """Do so in a thread."""
        self._take(await asyncio.to_thread(self._records.read, self._place, frozenset(self._known)))

    def _take(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        for marker, record in found.items():
            # One of our own may have been written while they were read.
            if marker not in self._known:
                self._add(Batch.from_record(marker, record))

    def _add(self, batch: Batch) -> None:
        self._known.add(batch.marker)
        self._batches[batch.marker] = batch
        for key in batch.keys:
            other = self._by_key.get(key)
            if other is None or other.created <= batch.created:
                self._by_key[key] = batch
            else:
                batch.left.discard(key)
            if other is not None and self._by_key[key] is batch:
                other.left.discard(key)
        self.drop([known for known in self._batches.values() if not known.left])

    def holding(self, key: str) -> Batch | None:
        """Return the batch that holds a request which is not settled."""
        return self._by_key.get(key)

    async def keep(self, batch: Batch) -> None:
        """Make what is known of a batch durable."""
        self._known.add(batch.marker)
        await asyncio.to_thread(self._records.write, self._place, batch.marker, batch.to_record())
        if batch.marker not in self._batches:
            self._add(batch)

    def settle(self, key: str) -> None:
        """Forget a request, whose completion is in the ledger or whose failure was told; with the last one, its batch."""
        batch = self._by_key.pop(key, None)
        if batch is None:
            return
        batch.left.discard(key)
        if batch.outcomes is not None:
            batch.outcomes.pop(key, None)
        if not batch.left:
            self.drop([batch])

    def drop(self, batches: Iterable[Batch]) -> None:
        """Forget batches, here and in the store."""
        for batch in batches:
            if self._batches.pop(batch.marker, None) is None:
                continue
            for key in batch.keys:
                if self._by_key.get(key) is batch:
                    del self._by_key[key]
            task = asyncio.ensure_future(asyncio.to_thread(self._records.remove, self._place, batch.marker))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def close(self) -> None:
        """Wait until the store has forgotten what is to be forgotten."""
        await asyncio.gather(*self._at_work, return_exceptions=True)
