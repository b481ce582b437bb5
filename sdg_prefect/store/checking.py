"""Finding out before a run whether its store can be used."""

from __future__ import annotations

from pathlib import Path

from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.store.places import folder_obstacle, lasting_failure
from sdg_prefect.store.root import Root, open_filesystem

_PROBE = ("tmp", "writable")
"""What is written below the root of a store on S3 to find out whether it can be."""


def check_storage(storage: str | None) -> None:
    """Find out before a run whether a store can be written and read; on S3 by an object that stays there.

    Args:
        storage: The store as somebody chose it; None for that of the settings.

    Raises:
        FlowError: It cannot, and no run could.
    """
    root = Root.chosen(storage)
    obstacle = _remote_obstacle(root) if root.is_remote else _local_obstacle(root)
    if obstacle is not None:
        reason, hint = obstacle
        raise FlowError([Problem(f"cannot be the store: {reason}.", hint, storage or root.uri)])


def _local_obstacle(root: Root) -> tuple[str, str] | None:
    reason = folder_obstacle(Path(root.uri, *_PROBE))
    return None if reason is None else (reason, "Name another folder with --storage.")


def _remote_obstacle(root: Root) -> tuple[str, str] | None:
    """Say why a store on S3 cannot be used, and what to do. A service that just fails may be well when the run begins."""
    try:
        filesystem, path = open_filesystem(root.uri, is_patient=False)
        probe = "/".join((path.rstrip("/"), *_PROBE))
        filesystem.pipe_file(probe, b"written\n")
        filesystem.cat_file(probe, start=0, end=1)
    except Exception as error:  # noqa: BLE001 - raised again where it does not come from S3
        return lasting_failure(error)
    return None
