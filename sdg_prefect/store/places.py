"""Files that users name: where they are, how they are opened, and what went wrong in words."""

from __future__ import annotations

import errno
import glob
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from sdg_prefect.errors import InputError, NoSeeds, Problem, did_you_mean
from sdg_prefect.store.formats import READABLE, Format, extension, format_of, is_compressed
from sdg_prefect.store.root import is_remote, open_filesystem
from sdg_prefect.store.unpacking import unpacked

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

S3 = "s3://"
BOM = b"\xef\xbb\xbf"
"""What some editors put before UTF-8 text."""
UTF8 = "Save the file as UTF-8."
_BUFFER_BYTES = 1 << 20
_SHOWN = 5
"""Broken lines that are told one by one."""
_MAY_PASS = (errno.EBUSY, errno.EREMOTEIO)
"""What s3fs makes of an S3 that is overloaded or fails by itself."""


class Disk(Protocol):
    """What is asked of a file system; the local one answers without importing fsspec."""

    def kind(self, path: str) -> str:
        """Return ``file``, ``directory``, or nothing where nothing is there."""

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder; none where it is not there."""

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted paths that match a pattern."""

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""


class LocalDisk:
    """The local file system."""

    def kind(self, path: str) -> str:
        """Return ``file``, ``directory``, or nothing where nothing is there."""
        return "directory" if os.path.isdir(path) else "file" if os.path.exists(path) else ""

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder; none where it is not there."""
        return sorted(os.listdir(folder or ".")) if os.path.isdir(folder or ".") else []

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted paths that match a pattern."""
        return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        return open(path, "rb")


@dataclass(frozen=True)
class RemoteDisk:
    """A file system of fsspec; paths carry their protocol. Listings are asked anew: others write there too."""

    filesystem: AbstractFileSystem

    def kind(self, path: str) -> str:
        """Return ``file``, ``directory``, or nothing where nothing is there."""
        self.filesystem.invalidate_cache()
        try:
            return str(self.filesystem.info(path)["type"])
        except FileNotFoundError:
            return ""

    def names(self, folder: str) -> list[str]:
        """Return the sorted names in a folder; none where it is not there."""
        try:
            paths = self.filesystem.ls(folder, detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for path in paths if (name := path.rstrip("/").rsplit("/", 1)[-1]))

    def glob(self, pattern: str) -> list[str]:
        """Return the sorted paths that match a pattern."""
        self.filesystem.invalidate_cache()
        return sorted(self.filesystem.unstrip_protocol(path) for path in self.filesystem.glob(pattern))

    def open(self, path: str) -> IO[bytes]:
        """Open a file for reading."""
        # s3fs copies its whole block for every line; behind a buffer it is forty times faster.
        return io.BufferedReader(self.filesystem.open(path, "rb"), _BUFFER_BYTES)


@dataclass(frozen=True)
class Found:
    """A file or folder of rows that is there."""

    path: str
    """As the user named it, with its protocol."""
    format: Format
    disk: Disk
    below: str = ""
    """The folder below which a pattern has found it; empty where no pattern did."""

    @property
    def name(self) -> str:
        """Its name, with the folders in which it lies below that of a pattern."""
        return self.path.removeprefix(f"{self.below}/") if self.below else self.path.rsplit("/", 1)[-1]

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the file for reading, unpacked if it is a gzip file."""
        with closing(self.disk.open(self.path)) as stream:
            yield unpacked(stream) if is_compressed(self.path) else stream

    def problem(self, message: str, hint: str = "", line: int = 0) -> InputError:
        """Return the error of one problem in this file."""
        return InputError([Problem(message, hint, self.path, line)])


def open_disk(place: str) -> Disk:
    """Return the file system of a path or address.

    Raises:
        InputError: The address is of a kind that we do not know.
    """
    if not is_remote(place):
        return LocalDisk()
    if not place.startswith(S3):
        raise InputError([Problem("is not a known kind of address.", "Name a local file or an s3:// address.", place)])
    return RemoteDisk(open_filesystem(place)[0])


def find_sources(source: str) -> list[Found]:
    """Find the files behind a source: a file, an Arrow folder, a folder of files, or a pattern such as ``seeds/*.jsonl``.

    Raises:
        InputError: Nothing is there, or it is of no kind, or of several.
    """
    place = _place(source)
    disk = open_disk(place)
    kind = disk.kind(place.rstrip("/") or place)
    if kind == "directory":
        return _in_folder(source, place.rstrip("/") or place, disk)
    if kind == "file":
        return [_of_known_kind(place, disk)]
    if glob.has_magic(place):
        below = place[: min(place.find(sign) for sign in "*?[" if sign in place)].rpartition("/")[0]
        return _of_one_kind(source, [_of_known_kind(path, disk, below) for path in disk.glob(place)])
    raise _missing(source, place, disk)


def _place(source: str) -> str:
    return source if is_remote(source) else os.path.expanduser(source.removeprefix("file://"))


def _in_folder(source: str, folder: str, disk: Disk) -> list[Found]:
    names = disk.names(folder)
    if "state.json" in names or "dataset_dict.json" in names:
        return [Found(folder, Format.ARROW_FOLDER, disk)]
    shown = (name for name in names if not name.startswith((".", "_")))
    found = [Found(f"{folder}/{name}", kind, disk) for name in shown if (kind := format_of(name)) is not None]
    # Beside files of rows a text says something about them.
    return _of_one_kind(source, [file for file in found if file.format is not Format.DOCUMENT] or found)


def passed_over(source: str, found: Sequence[Found]) -> Problem | None:
    """Say what a folder of documents holds that is not read; None where there is nothing, or the source is no such folder.

    Args:
        source: What the user named.
        found: What was found there.
    """
    folder, disk = found[0].path.rpartition("/")[0], found[0].disk
    if found[0].format is not Format.DOCUMENT or folder != _place(source).rstrip("/"):
        return None
    others = [name for name in disk.names(folder) if not name.startswith((".", "_")) and format_of(name) is not Format.DOCUMENT]
    if not others:
        return None
    shown = ", ".join(f"'{name}'" for name in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    hint = f"What lies in folders below is read by a pattern, such as '{folder}/**/*{extension(found[0].path)}'."
    return Problem(f"not read of this folder: {shown}{more}.", hint, source, warning=True)


def _of_known_kind(path: str, disk: Disk, below: str = "") -> Found:
    kind = format_of(path)
    if kind is None:
        what = f"'{extension(path)}' is not a known kind of file." if extension(path) else "has no known extension."
        raise InputError([Problem(what, READABLE, path)])
    return Found(path, kind, disk, below)


def _of_one_kind(source: str, files: list[Found]) -> list[Found]:
    if not files:
        raise NoSeeds([Problem("no file of seeds is there.", READABLE, source)])
    kinds = sorted({found.format.value for found in files})
    if len(kinds) > 1:
        hint = f"Name one kind, such as '*{extension(files[0].path)}'."
        raise InputError([Problem(f"files of several kinds are there: {', '.join(kinds)}.", hint, source)])
    return files


def _missing(source: str, place: str, disk: Disk) -> InputError:
    folder, _, name = place.rstrip("/").rpartition("/")
    if isinstance(disk, RemoteDisk):
        bucket = S3 + place.removeprefix(S3).split("/", 1)[0]
        if not disk.kind(bucket):
            return InputError([Problem(f"there is no bucket '{bucket.removeprefix(S3)}'.", "", source)])
    if folder and disk.kind(folder) != "directory":
        return InputError([Problem("there is no such file.", f"There is no folder '{folder}' either.", source)])
    names = [near for near in disk.names(folder) if format_of(near) or not extension(near)]
    return InputError([Problem("there is no such file.", did_you_mean(name, names), source)])


@contextmanager
def reading(place: str) -> Iterator[None]:
    """Turn the failures of file systems and parsers below into an InputError of one line."""
    try:
        yield
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        reason, hint = failure
        raise InputError([Problem(f"cannot be read: {reason}.", hint, place)]) from error


def explain(error: Exception) -> tuple[str, str] | None:
    """Say in words why a place cannot be read or written, and what to do; None where it is no such failure."""
    library, kind = type(error).__module__.split(".")[0], type(error).__name__
    if library in ("botocore", "aiobotocore") and kind in ("NoCredentialsError", "PartialCredentialsError"):
        return "there are no AWS credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    if library in ("botocore", "aiobotocore", "aiohttp"):
        return f"S3 does not answer: {_first_line(error)}", "Check AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and the network."
    if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
        return "it is not a whole gzip file", ""
    if isinstance(error, PermissionError):
        return f"access is denied ({_first_line(error)})", ""
    if isinstance(error, OSError) or library == "pyarrow":
        return lowered(_first_line(error)), ""
    return None


def _first_line(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.strip().split("\n")[0].rstrip(". ")


def broken_lines(found: Found, problems: list[Problem]) -> InputError:
    """Return the error of several problems in one file, or folder: the first few, and how many more."""
    return InputError(first_few(problems, found.path))


def first_few(problems: Sequence[Problem], place: str) -> list[Problem]:
    """Return the first few of several problems in one place, and a last one that says how many more there are."""
    more = len(problems) - _SHOWN
    last = [Problem(f"and {more} more.", file=place, warning=problems[0].warning)] if more > 0 else []
    return [*problems[:_SHOWN], *last]


def lowered(text: str) -> str:
    """Return a sentence as a part of another one."""
    return (text[:1].lower() + text[1:]).rstrip(".")


def folder_obstacle(path: Path) -> str | None:
    """Say why nothing can be written below the nearest folder above a path; None where it can."""
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not nearest.is_dir():
        return f"'{nearest}' is a file"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"the folder '{nearest}' is read-only"
    return None


def lasting_failure(error: Exception) -> tuple[str, str] | None:
    """Say in words why a place can never be used, and what to do; None where it may be well soon.

    Raises:
        Exception: The error itself, if it does not come from the place.
    """
    failure = explain(error)
    if failure is None:
        raise error
    # S3 answered that it cannot answer now, which says nothing about what comes later.
    return None if isinstance(error, OSError) and error.errno in _MAY_PASS else failure
