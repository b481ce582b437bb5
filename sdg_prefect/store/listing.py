"""Listing a store, and reading many small files of it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import StoreError
from sdg_prefect.store.places import explain

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a store, or an empty folder of ``tmp/`` where the path ends in a slash."""

    path: str
    """Below the root."""
    size: int
    changed: float
    """When it was written, in Unix time."""


def list_files(root: Root) -> list[StoredFile]:
    """List all files of a store: on S3 by one recursive listing.

    Raises:
        StoreError: It cannot be listed.
    """
    try:
        return _list_files(root)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        raise StoreError(f"cannot list {root.uri}: {failure[0]}.", failure[1]) from error


def _list_files(root: Root) -> list[StoredFile]:
    base = root.path()
    if not root.is_remote:
        return list(_walk(Path(base), ""))
    root.filesystem.invalidate_cache()
    found: dict[str, dict[str, Any]] = root.filesystem.find(base, detail=True)
    return [
        StoredFile(path[len(base) + 1 :], int(info["size"] or 0), info["LastModified"].timestamp())
        for path, info in found.items()
        if info["type"] == "file" and not path.endswith("/") and "LastModified" in info
    ]


def _walk(folder: Path, before: str) -> Iterator[StoredFile]:
    """Yield the files below a folder. What vanishes meanwhile is passed over."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            path = before + entry.name
            with suppress(FileNotFoundError):
                info = entry.stat(follow_symlinks=False)
                if not entry.is_dir(follow_symlinks=False):
                    yield StoredFile(path, info.st_size, info.st_mtime)
                elif before == "tmp/" and not os.listdir(entry.path):
                    yield StoredFile(f"{path}/", 0, info.st_mtime)
                else:
                    yield from _walk(Path(entry.path), f"{path}/")


def read_files(root: Root, paths: Iterable[str]) -> dict[str, bytes]:
    """Read small files of a store, on S3 many at a time; those that are gone are left out."""
    asked = list(paths)
    found: dict[str, bytes] = {}
    for start in range(0, len(asked), _AT_ONCE):
        by_path = {root.path(path).lstrip("/"): path for path in asked[start : start + _AT_ONCE]}
        contents = root.filesystem.cat([root.path(path) for path in by_path.values()], on_error="omit")
        found |= {by_path[path.lstrip("/")]: bytes(content) for path, content in contents.items()}
    return found
