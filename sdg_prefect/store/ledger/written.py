"""Writing the completions of one shard: appended to a local file, or gathered into objects on S3."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.files import failing_plainly, files_of, mark_as_written
from sdg_prefect.store.ledger.segments import SEGMENT, Segment, SegmentPath, encode_index, scan
from sdg_prefect.store.ledger.stored import rewritten
from sdg_prefect.store.root import Root

_PIECE_LINES = 64
"""Completions that one S3 object holds at most, before its shard is done."""
_PIECE_SECONDS = 1.0
"""Longest time that a completion waits for its S3 object: what a kill can lose."""


class Writer(Protocol):
    """Writes the completions of one shard in one run."""

    async def keep(self, line: bytes) -> None:
        """Write a line; returns when it survives this process."""

    async def flush(self) -> None:
        """Wait until everything is written."""

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
    """Appends to a file of its own; a line has been handed to the operating system when ``keep`` returns.

    So it survives the process, however that ends. A power cut takes what the system has not yet put on the disk, which is within
    seconds; what is sealed is there.
    """

    def __init__(self, root: Root, folder: str, run_id: str) -> None:
        self._root = root
        self._folder = folder
        self._run_id = run_id
        self._at = SegmentPath("")
        self._file = -1
        self._lines: list[bytes] = []
        self._size = 0

    async def keep(self, line: bytes) -> None:
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

    def _open(self) -> None:
        self._at = SegmentPath(_new_stem(self._folder, self._run_id) + SEGMENT)
        path = Path(self._root.uri, self._at.path)
        path.parent.mkdir(parents=True, exist_ok=True)
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

    async def flush(self) -> None:
        """Do nothing: every line is written when ``keep`` returns."""

    def seal(self, left: Sequence[Segment]) -> Segment | None:
        """Force the segment to the disk, write its index and give back the file."""
        if self._file < 0:
            return None
        with failing_plainly("write", self._root.url(self._at.path)):
            os.fsync(self._file)
        at, data = self._at, b"".join(self._lines)
        self.close()
        segment = Segment(at, scan(data).entries)
        self._root.write(encode_index(segment.entries, len(data)), at.index)
        return segment

    def close(self) -> None:
        """Give back the file."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._size, self._lines = -1, 0, []


def _write_all(file: int, line: bytes) -> None:
    """Write a line whole: a disk that is filling up takes a part of it without a word."""
    rest = memoryview(line)
    while rest:
        rest = rest[os.write(file, rest) :]


@dataclass
class _Piece:
    """Lines on their way to one object."""

    written: asyncio.Future[None]
    lines: list[bytes] = field(default_factory=list)


class RemoteWriter:
    """Gathers lines into objects, since S3 cannot append; ``keep`` returns when the line's object is there.

    A kill loses the completions of the last second at most, and nothing that a block has seen.
    """

    def __init__(self, root: Root, folder: str, run_id: str) -> None:
        self._root = root
        self._stem = _new_stem(folder, run_id)
        self._piece: _Piece | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._count = 0
        self._sent: list[Segment] = []

    async def keep(self, line: bytes) -> None:
        """Gather a line and wait for its object."""
        loop = asyncio.get_running_loop()
        if self._piece is None:
            self._piece = _Piece(loop.create_future())
            # Nobody waits for it if the run is interrupted.
            self._piece.written.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._timer = loop.call_later(_PIECE_SECONDS, self._send)
        piece = self._piece
        piece.lines.append(line)
        if len(piece.lines) >= _PIECE_LINES:
            self._send()
        # Whoever is cancelled leaves the object to the others.
        await asyncio.shield(piece.written)

    def _send(self) -> None:
        piece, self._piece = self._piece, None
        if self._timer is not None:
            self._timer.cancel()
        if piece is not None:
            self._count += 1
            self._sending[self._count] = asyncio.create_task(self._put(piece, self._count))

    async def _put(self, piece: _Piece, number: int) -> None:
        at, data = SegmentPath(f"{self._stem}-{number:06d}{SEGMENT}"), b"".join(piece.lines)
        try:
            sent = await asyncio.to_thread(self._write, at, data)
        except Exception as error:  # noqa: BLE001 - raised where the lines are waited for
            del self._sending[number]
            piece.written.set_exception(error)
        else:
            self._sent.append(sent)
            del self._sending[number]
            piece.written.set_result(None)

    def _write(self, at: SegmentPath, data: bytes) -> Segment:
        with failing_plainly("write", self._root.url(at.path)):
            self._root.write(data, at.path)
        return Segment(at, scan(data).entries, data)

    async def flush(self) -> None:
        """Wait until everything is written."""
        self._send()
        await asyncio.gather(*self._sending.values())

    def seal(self, left: Sequence[Segment]) -> Segment | None:
        """Join all pieces into one object, write its index, and only then remove them; those that others left as well."""
        if self._piece is not None or self._sending:
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
