"""Replacing a local file or folder: whoever looks finds the old one or the whole new one, also after a kill or a power cut."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: what a killed process left there stays
    fcntl = None  # type: ignore[assignment]


@contextmanager
def replacing_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside a path that takes its place if nothing fails."""
    _sweep(path)
    temporary, handle = _open_beside(path, is_folder=False)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Make a folder beside a path, to write what belongs there; it is gone afterwards."""
    _sweep(path)
    temporary, handle = _open_beside(path, is_folder=True)
    try:
        yield temporary
    finally:
        os.close(handle)
        shutil.rmtree(temporary, ignore_errors=True)


def put_files(fresh: Path, path: Path, names: Sequence[str]) -> None:
    """Move files of a folder into another one; the last of them is what makes the others count.

    Args:
        fresh: Where they are.
        path: Where they go. If nothing is there, the folder goes as a whole.
        names: The files, in the order in which they go.
    """
    for name in names:
        sync(fresh / name)
    sync(fresh)
    try:
        os.rename(fresh, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        for name in names[:-1]:
            os.replace(fresh / name, path / name)
        sync(path)
        os.replace(fresh / names[-1], path / names[-1])
        sync(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make sure that what was written survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_beside(path: Path, *, is_folder: bool) -> tuple[Path, int]:
    """Make a file or folder that is locked for as long as it is open, so that nobody takes it for left behind."""
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        if is_folder:
            temporary.mkdir()
            handle = os.open(temporary, os.O_RDONLY)
        else:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        if fcntl is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        # Somebody may have swept it away before it was locked.
        if temporary.exists():
            return temporary, handle
        os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what processes that were killed while they wrote the same file or folder have left beside it."""
    if fcntl is None:
        return
    for name in glob.glob(f".{glob.escape(path.name)}.????????.tmp", root_dir=path.parent, include_hidden=True):
        left = path.parent / name
        with suppress(OSError):  # somebody is writing it, or has just finished
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink()
            finally:
                os.close(handle)
