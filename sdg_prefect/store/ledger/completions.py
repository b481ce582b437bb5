"""The ledger: every completion that was paid for, written before it is parsed and never bought again.

A completion is looked for where it most likely is: among those that the shard itself has received, in what earlier runs left for
a shard of the same rows, and only then in all other segments under the same ask key. Of several under one key the latest counts.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.found import Everywhere, Held, Record
from sdg_prefect.store.ledger.segments import Segment, decode_line, encode_line
from sdg_prefect.store.ledger.stored import Segments
from sdg_prefect.store.ledger.written import Writer, open_writer
from sdg_prefect.store.root import Root

logger = logging.getLogger("sdg_prefect.run")

T = TypeVar("T")


class ReadLedger:
    """The completions under one ask key, for looking only: nothing is written, and damaged segments stay where they are."""

    def __init__(self, root: Root, ask_key: str) -> None:
        self._segments = Segments(root, f"ledger/{ask_key}", mends=False)
        self._everywhere = Everywhere(self._segments)

    def find(self, content: str, keys: Sequence[str]) -> dict[str, Record]:
        """Return the records of those completions that were ever received.

        Args:
            content: The input shard that the calls are for; see ``ShardContext``.
            keys: Keys of completions.
        """
        held = Held(self._segments.read_whole(content))
        found = {key: record for key in keys if (record := held.find(key)) is not None}
        missing = [key for key in keys if key not in found]
        if missing:
            self._everywhere.load()
            found |= self._everywhere.fetch(missing)
        return found

    def sample(self, limit: int) -> list[Record]:
        """Return some of the latest records, taken evenly from whole shards: the first replies of a shard are its fastest."""
        found: list[Record] = []
        for stored in reversed(self._segments.listing()):
            if len(found) >= limit:
                break
            for segment in self._segments.read([stored]):
                step = max(1, len(segment.entries) // max(1, limit))
                found += segment.records(step)
        return found[:limit]


def open_ledger(root: Root, ask_key: str) -> ReadLedger:
    """Open the completions under an ask key for looking only."""
    return ReadLedger(root, ask_key)


class BlockLedger:
    """The completions under one ask key, as one run reads and adds to them. Lives on the run's event loop."""

    def __init__(self, root: Root, ask_key: str, run_id: str) -> None:
        self.root = root
        self.run_id = run_id
        self.segments = Segments(root, f"ledger/{ask_key}", mends=True)
        self._everywhere = Everywhere(self.segments)
        self._loading = _Once(self._everywhere.load)
        self._wanted: dict[str, asyncio.Future[Record | None]] = {}
        self._fetching: set[asyncio.Task[None]] = set()
        self._open: set[ShardLedger] = set()

    def shard(self, content: str) -> ShardLedger:
        """Return the ledger of the input shard of this content. It costs nothing before it is asked."""
        return ShardLedger(self, content)

    async def open(self) -> None:
        """Read where the completions of all shards are."""
        if not self._everywhere.is_loaded:
            await self._loading.result()

    async def find(self, key: str) -> Record | None:
        """Return the record of a completion that any shard received before this run began to look."""
        await self.open()
        if not self._everywhere.has(key):
            return None
        loop = asyncio.get_running_loop()
        if not self._wanted:
            # All that is asked for in this turn of the loop shares one read.
            loop.call_soon(self._fetch_soon)
        if key not in self._wanted:
            self._wanted[key] = loop.create_future()
        return await asyncio.shield(self._wanted[key])

    def _fetch_soon(self) -> None:
        wanted, self._wanted = self._wanted, {}
        task = asyncio.create_task(self._fetch(wanted))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch(self, wanted: dict[str, asyncio.Future[Record | None]]) -> None:
        try:
            found = await asyncio.to_thread(self._everywhere.fetch, list(wanted))
        except Exception as error:  # noqa: BLE001 - raised where the records are waited for
            for future in wanted.values():
                future.set_exception(error)
        else:
            for key, future in wanted.items():
                future.set_result(found.get(key))

    def opened(self, shard: ShardLedger) -> None:
        """Note a shard that has to be closed."""
        self._open.add(shard)

    def closed(self, shard: ShardLedger) -> None:
        """Note that a shard needs no closing."""
        self._open.discard(shard)

    def sealed(self, segment: Segment) -> None:
        """Let other shards of this run find what a finished one received: another block may ask the same."""
        self._everywhere.add(segment)

    async def close(self) -> None:
        """Close all shards that were not sealed."""
        for shard in list(self._open):
            await shard.close()


class ShardLedger:
    """The completions of one block on one input shard: read as a whole when the first is asked for, and added to."""

    def __init__(self, block: BlockLedger, content: str) -> None:
        self._block = block
        self._content = content
        self._folder = f"{block.segments.folder}/{content}"
        self._kept: dict[str, bytes] = {}
        self._held: Held | None = None
        self._reading = _Once(self._read_now)
        self._writer: Writer | None = None
        self._guard = threading.Lock()

    async def open(self) -> None:
        """Read what earlier runs left, so that ``find`` need not wait for it."""
        if not (await self._read()).segments:
            await self._block.open()

    async def find(self, key: str) -> Record | None:
        """Return the record of a completion, if it was ever received."""
        if (line := self._kept.get(key)) is not None:
            return decode_line(line, key)
        record = (await self._read()).find(key)
        return record if record is not None else await self._block.find(key)

    async def _read(self) -> Held:
        if self._held is None:
            self._held = await self._reading.result()
        return self._held

    def _read_now(self) -> Held:
        return Held(self._block.segments.read_whole(self._content))

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Write a completion: locally it survives this process when this returns, on S3 it is there within about a second.

        Raises:
            StoreError: It could not be written, or one before it. What ``flush`` was awaited for is not harmed.
        """
        line = encode_line(key, record)
        if self._writer is None:
            self._writer = open_writer(self._block.root, self._folder, self._block.run_id)
            self._block.opened(self)
        self._writer.keep(line)
        self._kept[key] = line

    async def flush(self) -> None:
        """Wait until all that was kept survives a power cut too.

        Raises:
            StoreError: Something could not be written.
        """
        if self._writer is not None:
            await self._writer.flush()

    def seal(self) -> None:
        """End the segment, since the shard's checkpoint is written. Runs in a thread, when nothing is found or kept any more.

        Where it fails, the completions are found as well, only slower.
        """
        left = self._held.segments if self._held else ()
        writer = self._end()
        if writer is None and any(segment.at.is_piece for segment in left):
            writer = open_writer(self._block.root, self._folder, self._block.run_id)
        if writer is None:
            return
        try:
            segment = writer.seal(left)
        except StoreError as error:
            logger.warning("ledger: %s", error)
        else:
            if segment is not None:
                self._block.sealed(segment)

    async def close(self) -> None:
        """Write what waits and give back the file, without sealing."""
        if (writer := self._end()) is not None:
            await writer.flush()
            writer.close()

    def _end(self) -> Writer | None:
        """Return the writer to whoever ends it, and forget all."""
        with self._guard:
            writer, self._writer = self._writer, None
        self._held, self._kept = None, {}
        self._reading = _Once(self._read_now)
        self._block.closed(self)
        return writer


class _Once(Generic[T]):
    """Something that is done in a thread when it is first asked for, once for all that ask; if it fails, by the next again."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._task: asyncio.Task[T] | None = None

    async def result(self) -> T:
        """Wait for it."""
        if self._task is None or (self._task.done() and self._task.exception() is not None):
            self._task = asyncio.create_task(asyncio.to_thread(self._function))
        return await asyncio.shield(self._task)
