"""The root of a store: a local folder or an S3 prefix, with writes that are whole or not there."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import StoreError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


_TRIES = 20
"""How often a folder is put in its place while other processes write the same one."""


def is_remote(uri: str) -> bool:
    """True for addresses such as ``s3://bucket/prefix``."""
    return "://" in uri and not uri.startswith("file://")


def open_filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of an address and the path in it.

    S3 takes its credentials, region and endpoint from the usual AWS variables (``AWS_ENDPOINT_URL`` among them).
    """
    import fsspec

    options: dict[str, Any] = {}
    if uri.startswith("s3://"):
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        if endpoint:
            options["endpoint_url"] = endpoint
    filesystem, path = fsspec.core.url_to_fs(uri, **options)
    return filesystem, str(path)


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

    def exists(self, *parts: str) -> bool:
        """True if a file or folder is there."""
        return bool(self.filesystem.exists(self.path(*parts)))

    def read(self, *parts: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: It is not there.
        """
        return bytes(self.filesystem.cat_file(self.path(*parts)))

    def write(self, content: bytes, *parts: str) -> None:
        """Write a whole file: readers see the old one or the new one, never half."""
        path = self.path(*parts)
        try:
            if self.is_remote:
                self.filesystem.pipe_file(path, content)
                return
            target = Path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
            try:
                temporary.write_bytes(content)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {self.url(*parts)}: {error.strerror or error}.") from error

    def adopt(self, folder: Path, *parts: str) -> None:
        """Move a finished local folder into the store, replacing what a crash may have left there."""
        path = self.path(*parts)
        if self.is_remote:
            self.filesystem.put(f"{folder}/", f"{path}/", recursive=True)
            shutil.rmtree(folder)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            try:
                os.replace(folder, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                self._set_aside(target)
            else:
                return
        raise StoreError(f"cannot write {self.url(*parts)}: other runs keep writing it.", "Run the same command again.")

    def _set_aside(self, target: Path) -> None:
        """Move a folder out of the way in one step, so that nobody meets it half removed; another run may do the same."""
        aside = self.workspace()
        with suppress(FileNotFoundError):
            os.replace(target, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def remove(self, *parts: str) -> None:
        """Remove a file or folder; nothing happens if it is not there."""
        path = self.path(*parts)
        if self.filesystem.exists(path):
            self.filesystem.rm(path, recursive=True)

    def workspace(self) -> Path:
        """Return a fresh local folder on the store's own disk, so that moving out of it is a rename."""
        import tempfile

        if self.is_remote:
            return Path(tempfile.mkdtemp(prefix="sdg-"))
        base = Path(self.path("tmp"))
        base.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=base))
