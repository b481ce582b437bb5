"""Prefect servers of single tests, beside the one that all share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def a_home(folder: Path) -> Iterator[Path]:
    """Give the managed server this folder, no variables of the user's, and end it afterwards."""
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
