"""The root of a store: a local folder or an S3 prefix, with writes that are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import StoreError
from sdg_prefect.settings import settings
from sdg_prefect.store.access import access_to

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_ATTEMPTS = 5
"""How often botocore tries a request that S3 or the network fails; s3fs tries most of them again, and replies that were cut."""
_PART_BYTES = 64 * 1024 * 1024
"""Bytes of an object that one request asks for at most."""


TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"}
"""What S3 answers to a conditional write where another was quicker."""
UNCONDITIONAL = {"NotImplemented", "InvalidArgument", "InvalidRequest", "MethodNotAllowed"}
"""What servers answer that speak S3 without conditional writes."""


def is_remote(uri: str) -> bool:
    """True for addresses such as ``s3://bucket/prefix``."""
    return "://" in uri and not uri.startswith("file://")


def open_filesystem(uri: str, *, is_patient: bool = True) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address and the path in it.

    S3 takes its credentials, region and endpoint from the usual AWS variables (``AWS_ENDPOINT_URL`` among them), from what
    fsspec's own configuration says, and from what was handed over for the address. Listings are never remembered: other
    processes write to the same places.

    Args:
        uri: A local path or an address.
        is_patient: True to go on trying for most of a minute while S3 fails; False to find out soon whether it can be reached.
    """
    import fsspec

    filesystem, path = fsspec.core.url_to_fs(uri, **(_s3_options(uri, is_patient) if uri.startswith("s3://") else {}))
    if not is_patient and is_remote(uri):
        filesystem.retries = 3
    return filesystem, str(path)


def _s3_options(uri: str, is_patient: bool) -> dict[str, Any]:
    import fsspec

    # botocore's other modes let all requests of a client share one allowance of retries: many calls at once would use it up.
    retries: dict[str, Any] = {"mode": os.environ.get("AWS_RETRY_MODE") or "legacy"}
    if not is_patient or not os.environ.get("AWS_MAX_ATTEMPTS"):
        retries["total_max_attempts"] = _ATTEMPTS if is_patient else 2
    configured = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    options: dict[str, Any] = {"use_listings_cache": False, "config_kwargs": {"retries": retries, **configured}}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"):
        options["endpoint_url"] = endpoint
    return {**options, **access_to(uri)}


def write_durably(path: Path, content: bytes) -> None:
    """Write a local file whose content survives a power cut once this returns."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@dataclass(frozen=True)
class Root:
    """Where a store lives. Small and picklable, so that a worker elsewhere can open the same store."""

    uri: str
    """Absolute local folder, or ``s3://bucket/prefix``."""

    @classmethod
    def at(cls, place: str | os.PathLike[str]) -> Root:
        """Name a store by a local folder or an address."""
        text = os.fspath(place)
        return cls(text.rstrip("/") if is_remote(text) else str(Path(text.removeprefix("file://")).expanduser().resolve()))

    @classmethod
    def chosen(cls, storage: str | None) -> Root:
        """Name the store that somebody chose; where nobody did, that of the settings."""
        return cls.at(storage or settings().storage)

    @property
    def is_remote(self) -> bool:
        """True where the store is not a local folder."""
        return is_remote(self.uri)

    @cached_property
    def _opened(self) -> tuple[AbstractFileSystem, str]:
        return open_filesystem(self.uri)

    def __getstate__(self) -> dict[str, str]:
        return {"uri": self.uri}

    @property
    def filesystem(self) -> AbstractFileSystem:
        """The fsspec file system of this store."""
        return self._opened[0]

    def path(self, *parts: str) -> str:
        """Return a path as the file system wants it."""
        return "/".join((self._opened[1].rstrip("/"), *parts))

    def url(self, *parts: str) -> str:
        """Return a path as people write it."""
        return "/".join((self.uri, *parts))

    @contextmanager
    def failing_plainly(self, doing: str, *parts: str) -> Iterator[None]:
        """Turn a failure of the file system into a StoreError of one line; a file that is not there stays that."""
        from sdg_prefect.store.places import explain

        try:
            yield
        except (FileNotFoundError, StoreError):
            raise
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
            raise StoreError(f"cannot {doing} {self.url(*parts)}: {failure[0]}.", failure[1]) from error

    def exists(self, *parts: str) -> bool:
        """True if a file or folder is there."""
        with self.failing_plainly("read", *parts):
            return bool(self.filesystem.exists(self.path(*parts)))

    def read(self, *parts: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: It is not there.
            StoreError: It cannot be read.
        """
        path = self.path(*parts)
        with self.failing_plainly("read", *parts):
            return b"".join(self._pieces(path)) if self.is_remote else Path(path).read_bytes()

    def _pieces(self, path: str) -> Iterator[bytes]:
        """Yield an object in ranges: unlike with s3fs's own way, no size is asked for, and a cut reply is asked anew."""
        start = 0
        while True:
            try:
                piece = bytes(self.filesystem.cat_file(path, start=start, end=start + _PART_BYTES))
            except OSError as error:
                if s3_code(error) == "InvalidRange":
                    return
                raise
            yield piece
            start += len(piece)
            if len(piece) < _PART_BYTES:
                return

    def sizes(self, *parts: str) -> dict[str, int]:
        """Return the files of a folder with their sizes, none where it is not there. On S3 one request, never from a cache."""
        path = self.path(*parts)
        with self.failing_plainly("read", *parts), suppress(FileNotFoundError, NotADirectoryError):
            if self.is_remote:
                entries = self.filesystem.ls(path, detail=True, refresh=True)
                return {entry["name"].rsplit("/", 1)[-1]: int(entry["size"]) for entry in entries if entry["type"] == "file"}
            with os.scandir(path) as found:
                return {entry.name: entry.stat().st_size for entry in found if entry.is_file()}
        return {}

    def write(self, content: bytes, *parts: str, is_durable: bool = True) -> None:
        """Write a whole file: readers see the old one or the new one, never half.

        Args:
            content: What goes into the file.
            parts: Its path.
            is_durable: False for what can be made anew from other files: after a power cut it may be empty or gone.
        """
        path = self.path(*parts)
        with self._writing(*parts):
            if self.is_remote:
                self.filesystem.pipe_file(path, content)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
            try:
                if is_durable:
                    write_durably(temporary, content)
                else:
                    temporary.write_bytes(content)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)

    def create(self, content: bytes, *parts: str) -> bool:
        """Write a whole file unless one is there, which of several writers only one can do; return whether it was written.

        An S3 without conditional writes leaves two that write at the same moment both in the belief.
        """
        path = self.path(*parts)
        with self._writing(*parts):
            if self.is_remote:
                return self._put_new(path, content)
            temporary = Path(path).with_name(f".{Path(path).name}.{uuid.uuid4().hex}.tmp")
            temporary.parent.mkdir(parents=True, exist_ok=True)
            try:
                write_durably(temporary, content)
                os.link(temporary, path)
            except FileExistsError:
                return False
            finally:
                temporary.unlink(missing_ok=True)
            return True

    def _put_new(self, path: str, content: bytes) -> bool:
        try:
            self.filesystem.pipe_file(path, content, IfNoneMatch="*")
        except OSError as error:
            if s3_code(error) in TAKEN:
                return False
            if s3_code(error) not in UNCONDITIONAL:
                raise
            self.filesystem.pipe_file(path, content)
        return True

    @contextmanager
    def _writing(self, *parts: str) -> Iterator[None]:
        """Turn any failure into a StoreError: where something is written, a place that is not there is one too."""
        try:
            with self.failing_plainly("write", *parts):
                yield
        except FileNotFoundError as error:
            raise StoreError(f"cannot write {self.url(*parts)}: {error.strerror or error}.") from error

    def adopt(self, folder: Path, *parts: str) -> bool:
        """Move a finished local folder to its place in the store.

        Returns:
            False if a local folder with files is there already: nothing was moved, and nobody's data is ever replaced. On S3 the
            objects are put one by one; what is there under the same name is replaced by the same content.
        """
        path = self.path(*parts)
        if self.is_remote:
            with self._writing(*parts):
                self.filesystem.put(f"{folder}/", f"{path}/", recursive=True)
            shutil.rmtree(folder)
            return True
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(folder, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        return True

    def remove(self, *parts: str) -> None:
        """Remove a file or folder; nothing happens if it is not there."""
        path = self.path(*parts)
        with self.failing_plainly("remove", *parts):
            if self.filesystem.exists(path):
                self.filesystem.rm(path, recursive=True)

    def workspace(self) -> Path:
        """Return a fresh local folder on the store's own disk, so that moving out of it is a rename."""
        import tempfile

        base = self.spill_folder
        if base is None:
            return Path(tempfile.mkdtemp(prefix="sdg-"))
        Path(base).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=base))

    @property
    def spill_folder(self) -> str | None:
        """Where files lie that are nobody else's: on the store's own disk; None, for the system's own folder, if it is remote."""
        return None if self.is_remote else self.path("tmp")


def s3_code(error: OSError) -> str:
    """Return the word by which S3 says what went wrong."""
    response: Any = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
