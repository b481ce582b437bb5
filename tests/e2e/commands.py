"""The command line in a process of its own: started as a user starts it, or a fork of one that has everything imported.

A cold start takes seconds of CPU for imports, the same for all commands.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from sdg_prefect.engine.server import begin_managed, wait_until_ready
from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, ForkServerProcess

ROOT = Path(__file__).parents[2]

_READ_BY_IMPORTS = ("PREFECT_", "PYTHON", "HF_", "LITELLM_", "SDG_PREFECT_HOME", "SDG_PREFECT_SERVER_PORT")
"""Variables that have had their effect in a process that has imported everything."""
_SERVER = "PREFECT_API_URL"
"""The server can be another one than that which was there at the import."""
_LONGEST = 300.0


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The report that ``--json`` prints on the last line."""
        report: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return report


def wait_for(holds: Callable[[], bool], why: str, seconds: float = 180.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            pytest.fail(f"{why} did not happen within {seconds:g} s")
        time.sleep(0.02)


class Process(Protocol):
    """A process under way, in a group of its own."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code; None as long as it runs."""

    def wait(self, timeout: float) -> int:
        """Wait for the end."""


class Started:
    """A command under way."""

    def __init__(self, begin: Callable[[Path], Process]) -> None:
        self._said = tempfile.TemporaryDirectory(prefix="sdg-said-")
        self._process = begin(Path(self._said.name))

    @property
    def pid(self) -> int:
        """Its process, which may have others in its group."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None as long as it runs."""
        return self._process.poll()

    def wait_for(self, holds: Callable[[], bool], why: str) -> None:
        """Wait until something holds, which has to be before the end."""
        wait_for(lambda: holds() or self.poll() is not None, why)
        assert holds(), f"{why} did not happen: {self.wait()}"

    def wait(self) -> Ran:
        """Wait for the end."""
        return Ran(self._process.wait(_LONGEST), self.said("stdout"), self.said("stderr"))

    def said(self, stream: str = "stderr") -> str:
        """Return what it has written so far."""
        return Path(self._said.name, stream).read_text("utf-8")

    def is_gone(self) -> bool:
        """True if no process of its group is left."""
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal as a terminal does: to all processes of the group."""
        os.killpg(self._process.pid, number)


def start(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Started:
    """Start the command line.

    Args:
        words: What is typed behind ``sdg-prefect``.
        folder: Where.
        environment: All its variables.
    """
    is_usual = _read_by_imports(environment) == _read_by_imports(user_environment())
    return Started(partial((_Warm if is_usual else _Cold), words, folder, environment))


def _read_by_imports(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_READ_BY_IMPORTS) and name != _SERVER}


def user_environment() -> dict[str, str]:
    """Return what the user's shell has: a run in this process has left the address of its server here."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {"PYTHONPATH": str(ROOT)}


class _Cold:
    """A process that starts from nothing."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> None:
        with (said / "stdout").open("wb") as stdout, (said / "stderr").open("wb") as stderr:
            command = [sys.executable, "-m", "sdg_prefect", *words]
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=stdout, stderr=stderr, start_new_session=True
            )
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float) -> int:
        return self._process.wait(timeout)


class _Warm:
    """A fork of a process that has everything imported."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> None:
        for stream in ("stdout", "stderr"):
            (said / stream).touch()
        become = (tuple(words), folder, dict(environment), said)
        self._process: ForkServerProcess = _forks().Process(target=_become, args=become, daemon=True)
        self._process.start()
        pid = self._process.pid
        assert pid is not None
        self.pid: int = pid
        wait_for(lambda: self.poll() is not None or os.getpgid(pid) == pid, "a group of its own")

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            pytest.fail(f"process {self.pid} did not end within {timeout:g} s")
        return code


@cache
def _forks() -> ForkServerContext:
    wait_until_ready(begin_managed())
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.e2e.preloaded"])
    return context


def _become(words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> None:
    """Go on as the command line."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    settings.cache_clear()
    if _SERVER in environment:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    for number, stream in enumerate(("stdout", "stderr"), start=1):
        os.dup2(os.open(said / stream, os.O_WRONLY | os.O_APPEND), number)
    sys.argv[1:] = words
    try:
        runpy.run_module("sdg_prefect", run_name="__main__", alter_sys=True)
    finally:
        # A fork ends without what the end of Python does.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
