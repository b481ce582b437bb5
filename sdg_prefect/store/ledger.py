"""The ledger: every completion that was paid for, appended before it is parsed and never changed."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import uuid
from collections.abc import Mapping
from typing import IO, Any

from sdg_prefect.frozen import canonical
from sdg_prefect.store.root import Root

_SEGMENT_LINES = 64
"""Completions that one S3 object holds at most."""
_SEGMENT_SECONDS = 1.0
"""Longest time that a completion waits for its S3 object: what a kill can lose."""


class BlockLedger:
    """The completions of one block key, read from every earlier run and appended by this one.

    Locally a completion is in the file when ``keep`` returns. On S3, which cannot append, completions are gathered for up to a
    second into one object; ``keep`` returns when that object is there, so nothing is parsed that could still be lost.
    """

    def __init__(self, root: Root, block_key: str) -> None:
        self._root = root
        self._folder = f"ledger/{block_key}"
        self._writer = uuid.uuid4().hex[:12]
        self._known: dict[str, tuple[str, int, int]] | None = None
        self._loading = asyncio.Lock()
        self._guard = threading.Lock()
        self._file: IO[bytes] | None = None
        self._waiting: list[tuple[str, bytes]] = []
        self._flushed: asyncio.Future[None] | None = None
        self._segments = 0

    async def find(self, key: str) -> dict[str, Any] | None:
        """Return the record of the completion under this key, if it was ever received."""
        if self._known is None:
            async with self._loading:
                if self._known is None:
                    self._known = await asyncio.to_thread(self._index)
        place = self._known.get(key)
        return None if place is None else await asyncio.to_thread(self._fetch, *place)

    async def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Append a completion; returns when it is durable."""
        line = canonical({"key": key, **record}) + b"\n"
        if self._root.is_remote:
            await self._keep_remote(key, line)
        else:
            self._append(key, line)

    async def close(self) -> None:
        """Flush what waits and close the file."""
        if self._waiting:
            await self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, key: str, line: bytes) -> None:
        """Append one line and hand it to the operating system: it survives this process."""
        name = f"{self._writer}.jsonl"
        with self._guard:
            if self._file is None:
                path = self._root.path(self._folder, name)
                self._root.filesystem.makedirs(self._root.path(self._folder), exist_ok=True)
                self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - open for as long as the run
            start = self._file.tell()
            self._file.write(line)
        self._remember(key, name, start, len(line))

    async def _keep_remote(self, key: str, line: bytes) -> None:
        self._waiting.append((key, line))
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(_SEGMENT_SECONDS, self._flush_soon, self._flushed)
        mine = self._flushed
        if len(self._waiting) >= _SEGMENT_LINES:
            await self._flush()
        await mine

    def _flush_soon(self, expected: asyncio.Future[None]) -> None:
        if self._flushed is expected:
            self._flushing = asyncio.ensure_future(self._flush())

    async def _flush(self) -> None:
        lines, self._waiting = self._waiting, []
        done, self._flushed = self._flushed, None
        self._segments += 1
        name = f"{self._writer}-{self._segments:06d}.jsonl"
        try:
            await asyncio.to_thread(self._root.write, b"".join(line for _, line in lines), self._folder, name)
        except Exception as error:
            if done is not None and not done.done():
                done.set_exception(error)
            raise
        start = 0
        for key, line in lines:
            self._remember(key, name, start, len(line))
            start += len(line)
        if done is not None and not done.done():
            done.set_result(None)

    def _remember(self, key: str, name: str, start: int, length: int) -> None:
        if self._known is not None:
            self._known[key] = (name, start, length)

    def _index(self) -> dict[str, tuple[str, int, int]]:
        """Find every completion of earlier runs. A line that a crash cut short is passed over."""
        known: dict[str, tuple[str, int, int]] = {}
        folder = self._root.path(self._folder)
        if not self._root.filesystem.exists(folder):
            return known
        self._root.filesystem.invalidate_cache(folder)
        for path in sorted(self._root.filesystem.find(folder)):
            name = path.rsplit("/", 1)[-1]
            start = 0
            for line in io.BytesIO(self._root.read(self._folder, name)):
                if line.endswith(b"\n") and (record := _parsed(line)) is not None:
                    known[record["key"]] = (name, start, len(line))
                start += len(line)
        return known

    def _fetch(self, name: str, start: int, length: int) -> dict[str, Any]:
        path = self._root.path(self._folder, name)
        record: dict[str, Any] = json.loads(self._root.filesystem.cat_file(path, start=start, end=start + length))
        del record["key"]
        return record


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is damaged."""
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record if "key" in record else None
