"""Finding out before a run whether its store can be used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.store.places import explain
from sdg_prefect.store.root import Root, open_filesystem

_PROBE = ("tmp", "writable")
"""The object that is written to find out whether a store on S3 can be."""
_MAY_PASS = (errno.EBUSY, errno.EREMOTEIO)
"""What s3fs makes of an S3 that is overloaded or fails by itself."""


def check_storage(uri: str) -> None:
    """Find out before a run whether a store can be written and read; on S3 by an object that stays there.

    Raises:
        FlowError: It cannot, and no run could.
    """
    root = Root.at(uri)
    message = _remote_obstacle(root) if root.is_remote else _local_obstacle(Path(root.uri))
    if message is not None:
        raise FlowError([Problem(*message, uri)])


def _local_obstacle(folder: Path) -> tuple[str, str] | None:
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    hint = "Name another folder with --storage."
    if not nearest.is_dir():
        return f"cannot be the store: '{nearest}' is a file.", hint
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"cannot be the store: the folder '{nearest}' is read-only.", hint
    return None


def _remote_obstacle(root: Root) -> tuple[str, str] | None:
    """Say why a store on S3 cannot be used, and what to do. A service that just fails may be well when the run begins."""
    try:
        filesystem, path = open_filesystem(root.uri, is_patient=False)
        probe = "/".join((path.rstrip("/"), *_PROBE))
        filesystem.pipe_file(probe, b"written\n")
        filesystem.cat_file(probe, start=0, end=1)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        if may_pass(error):
            return None
        return f"cannot be the store: {failure[0]}.", failure[1]
    return None


def may_pass(error: Exception) -> bool:
    """True if S3 answered that it cannot answer now, which says nothing about what comes later."""
    return isinstance(error, OSError) and error.errno in _MAY_PASS
