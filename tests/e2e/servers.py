"""Prefect servers of single tests, beside the one that all share."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sdg_prefect.engine import server
from sdg_prefect.settings import settings
from tests.e2e.commands import wait_for
from tests.ports import free_port


def ask(method: str, url: str, **options: Any) -> httpx.Response:
    """Ask a server, again as long as it says that its database is busy."""
    replies: list[httpx.Response] = []

    def is_answered() -> bool:
        try:
            replies.append(httpx.request(method, url, timeout=60, **options))
        except httpx.ReadTimeout:
            # To ask for something twice does no harm; to make something twice would.
            if method != "GET":
                raise
            return False
        return replies[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    wait_for(is_answered, f"an answer of {url}")
    return replies[-1].raise_for_status()


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


@contextmanager
def another_server(folder: Path) -> Iterator[str]:
    """Serve Prefect as a user does who has a server of their own."""
    give_database(folder)
    port = free_port()
    own = {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | own
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def is_answering(api_url: str) -> bool:
    """Return whether a server answers."""
    try:
        return httpx.get(f"{api_url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
