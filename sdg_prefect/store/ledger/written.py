"""Writing the completions of one shard: appended to a local file, or gathered into objects on S3."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Protocol

from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.files import failing_plainly, files_of, mark_as_written
from sdg_prefect.store.ledger.groups import Groups
from sdg_prefect.store.ledger.segments import SEGMENT, Segment, SegmentPath, encode_index, entries_of
from sdg_prefect.store.ledger.stored import rewritten
from sdg_prefect.store.replacing import sync
from sdg_prefect.store.root import Root

_FORCE_SECONDS = 1.0
"""Longest time until a local file is forced to the disk while more is written to it: what a power cut can take."""
_FORCED_AT_ONCE = 8
"""Files that are forced to the disk at the same time: file systems write them together."""
_PIECE_LINES = 64
"""Completions that one S3 object holds at most, before its shard is done."""
_PIECE_SECONDS = 1.0
"""Longest time that a completion waits for its S3 object: what a kill can lose."""
_fdatasync = getattr(os, "fdatasync", os.fsync)
"""Where the system has no way to force the data alone, as on macOS, all is forced."""


class Writer(Protocol):
    """Writes the completions of one shard in one run."""

    def keep(self, line: bytes) -> None:
        """Write a line, or have it written soon."""

    async def flush(self) -> None:
        """Wait until all lines are durable."""

    def seal(self, left: Sequence[Segment]) -> Segment | None:
        """End the segment and write its index, in a thread.

        Args:
            left: Segments that others left in the same folder.

        Returns:
            The segment, or None where nothing was written.
        """

    def close(self) -> None:
        """Give back the file; what was written stays as it is."""


def open_writer(root: Root, folder: str, run_id: str) -> Writer:
    """Return a writer for a folder. It writes nothing before the first line."""
    return RemoteWriter(root, folder, run_id) if root.is_remote else LocalWriter(root, folder, run_id)


def _new_stem(folder: str, run_id: str) -> str:
    """Return the path of a new segment, without its ending; those of one run sort by time."""
    return f"{folder}/{run_id}-{time.time_ns():016x}{secrets.token_hex(2)}"


class LocalWriter:
    """Appends to a file of its own.

    A line has been handed to the operating system when ``keep`` returns, so a kill loses none. All are on the disk when ``flush``
    returns, so a power cut loses none that a block has seen.
    """

    def __init__(self, root: Root, folder: str, run_id: str) -> None:
        self._root = root
        self._folder = folder
        self._run_id = run_id
        self._at = SegmentPath("")
        self._file = -1
        self._lines: list[bytes] = []
        self._size = 0
        self._forced_size = 0
        self._new_in: Sequence[Path] = ()
        """Folders that do not have it on the disk yet, or the folder with it."""
        self._guard = threading.Lock()
        self._forced = Groups(self._force, _FORCE_SECONDS, in_turn=True)

    def keep(self, line: bytes) -> None:
        """Append a line."""
        try:
            if self._file < 0:
                self._open()
            _write_all(self._file, line)
        except OSError as error:
            self._take_back()
            raise StoreError(
                f"cannot write {self._root.url(self._at.path)}: {error.strerror or error}.",
                "All completions before it are kept. Make room there, and the same command goes on from here.",
            ) from error
        self._size += len(line)
        self._lines.append(line)
        self._forced.add(line)

    def _open(self) -> None:
        self._at = SegmentPath(_new_stem(self._folder, self._run_id) + SEGMENT)
        path = Path(self._root.uri, self._at.path)
        new = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._new_in = [path.parent, *(folder.parent for folder in new)]
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o666)
        mark_as_written(self._file)

    def _take_back(self) -> None:
        """Remove the half of a line that was written; where that fails, the next line goes into another file."""
        if self._file < 0:
            return
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self.close()

    async def _force(self, _: Sequence[bytes]) -> None:
        """Force all lines to the disk, and the first time the folders in which the file is new."""
        with self._guard:
            if self._file < 0:
                return  # sealed meanwhile, and so forced
            file, at, size, folders = os.dup(self._file), self._at, self._size, self._new_in
            self._new_in = ()
        with failing_plainly("write", self._root.url(at.path)):
            await asyncio.get_running_loop().run_in_executor(_disk(), _force, file, folders)
        if self._at is at:
            self._forced_size = size

    async def flush(self) -> None:
        """Wait until all lines are on the disk."""
        await self._forced.flush()

    def seal(self, left: Sequence[Segment]) -> Segment | None:
        """Force the segment to the disk, write its index and give back the file."""
        if self._file < 0:
            return None
        if self._forced_size < self._size:
            with failing_plainly("write", self._root.url(self._at.path)):
                os.fsync(self._file)
        segment, size = Segment(self._at, entries_of(self._lines)), self._size
        self.close()
        self._root.write(encode_index(segment.entries, size), segment.at.index, is_durable=False)
        return segment

    def close(self) -> None:
        """Give back the file."""
        with self._guard:
            if self._file >= 0:
                os.close(self._file)
            self._file, self._size, self._forced_size, self._lines = -1, 0, 0, []


def _write_all(file: int, line: bytes) -> None:
    """Write a line whole: a disk that is filling up takes a part of it without a word."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]


@cache
def _disk() -> ThreadPoolExecutor:
    """Return the threads that wait for the disk: those of the event loop have other work to do."""
    return ThreadPoolExecutor(_FORCED_AT_ONCE, "ledger")


def _force(file: int, folders: Sequence[Path]) -> None:
    """Make sure that what was written survives a power cut, and close the handle."""
    try:
        _fdatasync(file)
    finally:
        os.close(file)
    for folder in folders:
        sync(folder)


class RemoteWriter:
    """Gathers lines into objects, since S3 cannot append; they are all there when ``flush`` returns.

    A kill loses the completions of the last second at most, and nothing that a block has seen.
    """

    def __init__(self, root: Root, folder: str, run_id: str) -> None:
        self._root = root
        self._stem = _new_stem(folder, run_id)
        self._count = 0
        self._sent: list[Segment] = []
        self._pieces = Groups(self._put, _PIECE_SECONDS, _PIECE_LINES)

    def keep(self, line: bytes) -> None:
        """Gather a line for the next object."""
        self._pieces.add(line)

    async def _put(self, lines: Sequence[bytes]) -> None:
        self._count += 1
        at = SegmentPath(f"{self._stem}-{self._count:06d}{SEGMENT}")
        self._sent.append(await asyncio.to_thread(self._write, at, lines))

    def _write(self, at: SegmentPath, lines: Sequence[bytes]) -> Segment:
        data = b"".join(lines)
        with failing_plainly("write", self._root.url(at.path)):
            self._root.write(data, at.path)
        return Segment(at, entries_of(lines), data)

    async def flush(self) -> None:
        """Wait until all objects are there."""
        await self._pieces.flush()

    def seal(self, left: Sequence[Segment]) -> Segment | None:
        """Join all pieces into one object, write its index, and only then remove them; those that others left as well."""
        if self._pieces.is_waiting:
            # Somebody gave up waiting for these lines, as when a run is interrupted; they would be hidden by a whole segment.
            return None
        pieces = [*(segment for segment in left if segment.at.is_piece), *sorted(self._sent, key=lambda sent: sent.at.order)]
        if not pieces:
            return None
        at = SegmentPath(self._stem + SEGMENT)
        with failing_plainly("write", self._root.url(at.path)):
            whole = rewritten(at, pieces)
            self._root.write(whole.data, at.path)
            self._root.write(encode_index(whole.entries, len(whole.data)), at.index)
            files_of(self._root).remove([piece.at.path for piece in pieces])
        return Segment(at, whole.entries)

    def close(self) -> None:
        """Do nothing: no file is open."""
