"""The files of the ledger, in a local folder or on S3: listed afresh, read by ranges, moved and removed."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from sdg_prefect.errors import StoreError
from sdg_prefect.store.places import explain
from sdg_prefect.store.root import Root

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be moved away anyway
    fcntl = None  # type: ignore[assignment]

_GAP = 64 * 1024
"""Bytes between two ranges of one object that are read along rather than asked for apart."""
_RANGE = 8 * 1024 * 1024
"""Bytes that one request asks for at most, if they are several ranges."""


class Span(NamedTuple):
    """A range of a file below the store's root."""

    path: str
    start: int
    length: int


class Files(Protocol):
    """What the ledger asks of the place where it is. Paths are below the store's root."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all files below a folder, as they are now; none where it is not there."""

    def read(self, spans: Sequence[Span]) -> list[bytes | None]:
        """Read ranges; None for one whose file is gone."""

    def move(self, path: str, target: str) -> None:
        """Move a file; nothing happens if somebody else has done so."""

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone are passed over."""

    def is_being_written(self, path: str) -> bool:
        """True if a process has the file open to append to it."""


def files_of(root: Root) -> Files:
    """Return the files of a store."""
    return RemoteFiles(root) if root.is_remote else LocalFiles(root)


def mark_as_written(file: int) -> None:
    """Let others see that a local file is being written, until it is closed or its process has ended in whatever way."""
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def failing_plainly(doing: str, place: str) -> Iterator[None]:
    """Turn a failure of the file system into a StoreError of one line."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        reason, hint = explain(error) or ("", "")
        if not reason:
            raise
        raise StoreError(f"cannot {doing} {place}: {reason}.", hint) from error


@dataclass(frozen=True)
class LocalFiles:
    """A local folder; fsspec is not needed for it."""

    root: Root

    def path(self, path: str) -> str:
        """Return a path of the operating system."""
        return f"{self.root.uri}/{path}"

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all files below a folder, as they are now; none where it is not there."""
        with failing_plainly("read", self.root.url(folder)):
            return dict(self._walk(folder))

    def _walk(self, folder: str) -> Iterator[tuple[str, int]]:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path(folder)) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                with suppress(FileNotFoundError):
                    if entry.is_dir():
                        yield from self._walk(path)
                    else:
                        yield path, entry.stat().st_size

    def read(self, spans: Sequence[Span]) -> list[bytes | None]:
        """Read ranges; None for one whose file is gone."""
        found: list[bytes | None] = [None] * len(spans)
        for path, numbers in _by_path(spans).items():
            with failing_plainly("read", self.root.url(path)), suppress(FileNotFoundError), open(self.path(path), "rb") as file:
                for number in numbers:
                    file.seek(spans[number].start)
                    found[number] = file.read(spans[number].length)
        return found

    def move(self, path: str, target: str) -> None:
        """Move a file; nothing happens if somebody else has done so."""
        with failing_plainly("move", self.root.url(path)), suppress(FileNotFoundError):
            Path(self.path(target)).parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.path(path), self.path(target))

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone are passed over."""
        for path in paths:
            with failing_plainly("remove", self.root.url(path)), suppress(FileNotFoundError):
                os.unlink(self.path(path))

    def is_being_written(self, path: str) -> bool:
        """True if a process has the file open to append to it; see ``mark_as_written``."""
        if fcntl is None:
            return False
        try:
            with open(self.path(path), "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # gone, or a file system without locks
            return False
        return False


@dataclass(frozen=True)
class RemoteFiles:
    """A prefix on S3."""

    root: Root

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all files below a folder, as they are now; none where it is not there."""
        above, _, name = folder.rpartition("/")
        start = len(self.root.path(""))
        with failing_plainly("read", self.root.url(folder)):
            try:
                # As a prefix of the folder above, s3fs asks once and keeps nothing, also where nothing is there.
                found = self.root.filesystem.find(self.root.path(above), prefix=f"{name}/", detail=True)
            except FileNotFoundError:
                return {}
        return {path[start:]: int(info["size"]) for path, info in found.items() if info["type"] == "file"}

    def read(self, spans: Sequence[Span]) -> list[bytes | None]:
        """Read ranges, many at once; None for one whose file is gone."""
        joined = list(_joined(spans))
        paths = [self.root.path(span.path) for span, _ in joined]
        starts, ends = [span.start for span, _ in joined], [span.start + span.length for span, _ in joined]
        found: list[bytes | None] = [None] * len(spans)
        contents = self.root.filesystem.cat_ranges(paths, starts, ends, on_error="return") if paths else []
        for (whole, numbers), content in zip(joined, contents, strict=True):
            if isinstance(content, FileNotFoundError):
                continue
            with failing_plainly("read", self.root.url(whole.path)):
                if isinstance(content, BaseException):
                    raise content
            for number in numbers:
                begin = spans[number].start - whole.start
                found[number] = bytes(content[begin : begin + spans[number].length])
        return found

    def move(self, path: str, target: str) -> None:
        """Move a file; nothing happens if somebody else has done so."""
        with failing_plainly("move", self.root.url(path)), suppress(FileNotFoundError):
            self.root.filesystem.copy(self.root.path(path), self.root.path(target))
            self.root.filesystem.rm_file(self.root.path(path))

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files; those that are gone are passed over."""
        if paths:
            with failing_plainly("remove", self.root.url(paths[0])), suppress(FileNotFoundError):
                self.root.filesystem.rm([self.root.path(path) for path in paths])

    def is_being_written(self, path: str) -> bool:
        """False: an object is written as a whole."""
        return False


def _by_path(spans: Sequence[Span]) -> dict[str, list[int]]:
    """Return the numbers of the spans in each file, first range first."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(spans)), key=lambda number: spans[number].start):
        found[spans[number].path].append(number)
    return dict(found)


def _joined(spans: Sequence[Span]) -> Iterable[tuple[Span, list[int]]]:
    """Join ranges that lie close together, each with the numbers of the spans in it."""
    for path, numbers in _by_path(spans).items():
        group: list[int] = []
        start = end = 0
        for number in numbers:
            span = spans[number]
            if group and (span.start - end > _GAP or span.start + span.length - start > _RANGE):
                yield Span(path, start, end - start), group
                group = []
            if not group:
                start = end = span.start
            group.append(number)
            end = max(end, span.start + span.length)
        yield Span(path, start, end - start), group
