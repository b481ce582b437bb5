"""Prefect servers of single tests, beside the one that all share."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sdg_prefect.engine import server
from sdg_prefect.settings import settings


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def give_database(folder: Path) -> None:
    """Copy the database of the shared server to another PREFECT_HOME: to create one takes longer than all else."""
    server.wait_until_ready(server.begin_managed())
    folder.mkdir(parents=True)
    managed = Path(os.environ["SDG_PREFECT_HOME"], "prefect", "prefect.db")
    with closing(sqlite3.connect(managed)) as source, closing(sqlite3.connect(folder / "prefect.db")) as target:
        source.backup(target)


@contextmanager
def a_home(folder: Path, *, is_new: bool = False) -> Iterator[Path]:
    """Give the managed server this folder, no variables of the user's, and end it afterwards.

    Args:
        folder: The folder.
        is_new: True for one without a database.
    """
    if not is_new:
        give_database(folder / "prefect")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PREFECT_", "SDG_PREFECT_"))]:
            patch.delenv(name)
        patch.setenv("SDG_PREFECT_HOME", str(folder))
        patch.setenv("SDG_PREFECT_SERVER_PORT", str(free_port()))
        settings.cache_clear()
        try:
            yield folder
        finally:
            server.stop()
            settings.cache_clear()
