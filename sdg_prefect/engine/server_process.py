"""The process of the managed Prefect server: its socket, its log, its address file, how it starts and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from sdg_prefect.engine.server_environment import prefect_home, server_environment
from sdg_prefect.errors import SdgError
from sdg_prefect.settings import settings

HOST = "127.0.0.1"
_APP = "sdg_prefect.engine.server_app:create_app"
_LOG_LIMIT = 10_000_000
_PORTS_TRIED = 100
_TERMINATE_PATIENCE = 10.0
_KILL_PATIENCE = 5.0
_PAUSE = 0.05

# A child that ended stays in the process table until its parent asks for it.
_children: dict[int, subprocess.Popen[bytes]] = {}


class ServerError(SdgError):
    """The Prefect server cannot be had: it does not start, does not answer, or refuses."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the managed server is: the content of ``server.json``."""

    pid: int
    port: int
    started: str
    prefect: str
    """The version of Prefect that it runs."""

    @classmethod
    def read(cls) -> Self | None:
        """Return the recorded address, or None where there is none that can be read."""
        try:
            data: dict[str, Any] = json.loads(_address_file().read_text(encoding="utf-8"))
            return cls(int(data["pid"]), int(data["port"]), str(data["started"]), str(data["versions"]["prefect"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self) -> None:
        """Record the address, at once or not at all."""
        data = {"pid": self.pid, "port": self.port, "started": self.started, "versions": {"prefect": self.prefect}}
        unfinished = _address_file().with_suffix(".json.tmp")
        unfinished.write_text(json.dumps(data) + "\n", encoding="utf-8")
        unfinished.replace(_address_file())

    @property
    def is_alive(self) -> bool:
        """Whether the process is there and is our server, rather than another one that was given its number."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
            return False
        words = _command_line(self.pid)
        return f"uvicorn --app-dir {prefect_home()} --factory " in words


@contextmanager
def exclusive() -> Iterator[None]:
    """Keep other processes from starting or ending the managed server meanwhile."""
    home = prefect_home()
    try:
        # What a run shows in the UI is made from the user's data.
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        with FileLock(home.parent / "server.lock", timeout=settings().server_timeout):
            yield
    except Timeout as error:
        message = f"Another process has been starting or ending the Prefect server in {home.parent} for a long time."
        raise ServerError(message, "End it, or set SDG_PREFECT_HOME to another folder.") from error
    except OSError as error:
        message = f"The local Prefect server in {home.parent} cannot be started or ended: {error}."
        raise ServerError(message, "Set SDG_PREFECT_HOME to a folder that can be written.") from error


def spawn(first_port: int, *, any_port: bool = True) -> Address:
    """Start the server without waiting for it, and record where it is.

    The socket is bound here and handed over. So no other process can take the port while the server starts,
    and a request that comes too early waits instead of failing.

    Args:
        first_port: The port to use.
        any_port: Take the next free port if that one is in use.
    """
    with _listen(first_port, _PORTS_TRIED if any_port else 1) as listener:
        port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(prefect_home()), "--factory", _APP]
        command += ["--host", HOST, "--port", str(port), "--fd", str(listener.fileno()), "--log-level", "error"]
        started = datetime.now(UTC).isoformat(timespec="seconds")
        prefect = version("prefect")
        log_file().touch(mode=0o600)
        with log_file().open("wb" if log_file().stat().st_size > _LOG_LIMIT else "ab") as log:
            log.write(f"{_header(port)}, Prefect {prefect}, {started}\n".encode())
            log.flush()
            process = subprocess.Popen(
                command,
                env=server_environment(HOST, port),
                cwd=prefect_home(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(),),
                start_new_session=True,
            )
    _children[process.pid] = process
    # A process that has only just begun its program has no command line to be recognised by.
    while process.poll() is None and not _command_line(process.pid):
        time.sleep(_PAUSE)
    address = Address(process.pid, port, started, prefect)
    address.write()
    return address


def end(address: Address) -> bool:
    """End the server and forget its address; return whether it was running.

    Args:
        address: Where it is; a process that is not our server is left alone.
    """
    was_alive = address.is_alive
    for number, patience in ((signal.SIGTERM, _TERMINATE_PATIENCE), (signal.SIGKILL, _KILL_PATIENCE)):
        if not address.is_alive:
            break
        with suppress(ProcessLookupError):
            os.kill(address.pid, number)
        deadline = time.monotonic() + patience
        while address.is_alive and time.monotonic() < deadline:
            time.sleep(_PAUSE)
    if address.is_alive:
        raise ServerError(f"The local Prefect server (process {address.pid}) does not end.")
    _address_file().unlink(missing_ok=True)
    return was_alive


def log_file() -> Path:
    """Return the file that the server writes its log to."""
    return prefect_home().parent / "server.log"


def last_words() -> str:
    """Return the last error in the log since the server was started, else its last line, else an empty string."""
    try:
        text = log_file().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = text.rpartition(_header())[2].splitlines()[1:]
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if re.match(r"[\w.]+(Error|Exception): ", line)]
    return (errors or said or [""])[-1]


def _header(port: int | str = "") -> str:
    """Return how the first line of each start begins in the log."""
    return f"--- starting on port {port}"


def _address_file() -> Path:
    return prefect_home().parent / "server.json"


def _listen(first_port: int, tried: int) -> socket.socket:
    """Return a socket that listens on the first free port."""
    for port in range(first_port, min(first_port + tried, 65536)):
        if _is_answered(port):
            continue
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted connections inherit it; uvicorn does not set it on a socket that it is given.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            listener.bind((HOST, port))
            listener.listen(128)
        except OSError:
            listener.close()
        else:
            return listener
    which = f"Port {first_port} is" if tried == 1 else f"The ports from {first_port} on are"
    raise ServerError(f"{which} in use by other programs.", "Set SDG_PREFECT_SERVER_PORT to a free one.")


def _is_answered(port: int) -> bool:
    """Return whether a program listens on the port, on any address: on some systems binding would succeed still."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _command_line(pid: int) -> str:
    """Return the command line of a process; empty where there is none or it has ended."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
