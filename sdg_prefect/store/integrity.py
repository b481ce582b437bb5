"""Checksums of files in the store, and what becomes of a damaged file: it is set aside, never used, never removed."""

from __future__ import annotations

import errno
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import xxhash
from pydantic import AfterValidator

from sdg_prefect.errors import StoreError
from sdg_prefect.frozen import Frozen
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("sdg_prefect.run")

DAMAGED = "damaged"
"""Where damaged files are put, below the root."""

GONE = "is gone"
_CHUNK = 1 << 22


def _plain(name: str) -> str:
    """Refuse a name that leads out of its folder: records may come from a store that somebody else has written."""
    if "/" in name or name in ("", ".", ".."):
        raise ValueError(f"'{name}' is no name of a file")
    return name


class FileMark(Frozen):
    """What a file was when it was written."""

    name: Annotated[str, AfterValidator(_plain)]
    """Its name in its folder."""
    size: int
    """Its bytes."""
    checksum: str
    """Hash of its content (XXH3, 128 bits), which tells damage; it is no protection against forgery."""

    @classmethod
    def of(cls, name: str, content: bytes) -> FileMark:
        """Mark a file by its content."""
        return cls(name=name, size=len(content), checksum=checksum(content))


@dataclass(frozen=True, slots=True)
class Damage:
    """A file that is gone or is not what was written."""

    folder: str
    """Below the root."""
    file: FileMark
    """What was written."""
    what: str
    """What is wrong with it."""

    @property
    def is_gone(self) -> bool:
        """True if there is no such file."""
        return self.what == GONE


class Damaged(StoreError):
    """Data of the store is damaged. Nothing was set aside yet."""

    def __init__(self, damages: Sequence[Damage]) -> None:
        first = damages[0]
        super().__init__(f"{first.folder}/{first.file.name} {first.what}.", "The same command sets it aside and makes it again.")
        self.damages = tuple(damages)

    def __reduce__(self) -> tuple[type[StoreError], tuple[Any, ...]]:
        return Damaged, (self.damages,)


_ALTERED = "is not what was written"


def checksum(content: bytes | pa.Buffer) -> str:
    """Hash the content of a file."""
    return xxhash.xxh3_128_hexdigest(content)


def mark_file(path: Path) -> FileMark:
    """Mark a local file."""
    return FileMark(name=path.name, size=path.stat().st_size, checksum=_checksum_of(path))


def find_damage(root: Root, folder: str, files: Sequence[FileMark], *, is_whole: bool | None = None) -> list[Damage]:
    """Compare the files of a folder with what was written.

    Args:
        root: The store.
        folder: The folder, below the root.
        files: What was written.
        is_whole: True to read every file, False to look at their sizes; by default local files are read.
    """
    reads = not root.is_remote if is_whole is None else is_whole
    sizes = root.sizes(folder)
    found = ((file, _wrong_with(root, folder, file, sizes.get(file.name), reads=reads)) for file in files)
    return [Damage(folder, file, what) for file, what in found if what]


def wrong_with(content: bytes | pa.Buffer, file: FileMark) -> str:
    """Say what is wrong with the content of a file; nothing where it is what was written."""
    size = memoryview(content).nbytes
    return _wrong_size(size, file) or ("" if checksum(content) == file.checksum else _ALTERED)


def set_aside(root: Root, damages: Sequence[Damage], record: str = "") -> None:
    """Move damaged files of a folder out of the way, and say in the run's log what was wrong and where they are now.

    Locally the whole folder is moved by one rename, so that nobody meets half of it. On S3 only the damaged objects are: another
    run may be putting the others at this moment.

    Args:
        root: The store.
        damages: What is wrong in one folder.
        record: The file that says that the folder is there; it is moved before.
    """
    first = damages[0]
    damaged = [f"{one.folder}/{one.file.name}" for one in damages if not one.is_gone] if root.is_remote else [first.folder]
    more = f" (and {len(damages) - 1} more there)" if len(damages) > 1 else ""
    _set_aside(root, [*([record] if record else []), *damaged], f"{first.folder}/{first.file.name}", first.what + more)


def set_file_aside(root: Root, path: str, what: str) -> None:
    """Move one damaged file out of the way, and leave what is beside it."""
    _set_aside(root, [path], path, what)


@contextmanager
def telling(root: Root, tell: Callable[[str], None]) -> Iterator[None]:
    """Pass on what is said about damage in a store while this is open."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if getattr(record, "damaged_store", None) == root.uri:
                tell(record.getMessage())

    handler = Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _set_aside(root: Root, paths: Sequence[str], damaged: str, what: str) -> None:
    now = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    place = f"{DAMAGED}/{damaged.replace('/', '-')}-{now}"
    is_moved = [_move(root, path, f"{place}/{path.rpartition('/')[2]}") for path in paths]
    where = f"set aside in {root.url(place)} and made again" if any(is_moved) else "it is made again"
    logger.warning("%s %s: %s.", root.url(damaged), what, where, extra={"damaged_store": root.uri})


def _move(root: Root, path: str, to: str) -> bool:
    """Move a file or folder; False if it is not there, as when another run was quicker."""
    source, target = root.path(path), root.path(to)
    try:
        if root.is_remote:
            with root.failing_plainly("set aside", path):
                root.filesystem.copy(source, target)
                root.filesystem.rm_file(source)
        elif not os.path.lexists(source):
            return False
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            os.rename(source, target)
    except FileNotFoundError:
        return False
    return True


def _wrong_with(root: Root, folder: str, file: FileMark, size: int | None, *, reads: bool) -> str:
    if size is None:
        return GONE
    wrong = _wrong_size(size, file)
    if wrong or not reads:
        return wrong
    try:
        if root.is_remote:
            return wrong_with(root.read(folder, file.name), file)
        return "" if _checksum_of(Path(root.path(folder, file.name))) == file.checksum else _ALTERED
    except FileNotFoundError:
        return GONE
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return "cannot be read from the disk"


def _wrong_size(size: int, file: FileMark) -> str:
    return "" if size == file.size else f"has {size:,} bytes instead of {file.size:,}"


def _checksum_of(path: Path) -> str:
    hasher = xxhash.xxh3_128()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
