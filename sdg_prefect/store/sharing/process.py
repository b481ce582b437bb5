"""Processes, told apart for good: their numbers are given anew, and each machine has its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_HAS_PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True, slots=True)
class Process:
    """A process of some machine."""

    host: str
    boot: str
    """One start of that machine, and the set of process numbers there: containers on one machine have one each."""
    pid: int
    born: str
    """When it started, in the machine's own words; empty where the machine does not say."""

    @classmethod
    def this(cls) -> Process:
        """Return the process that asks."""
        return _self(os.getpid())

    @property
    def is_running(self) -> bool | None:
        """Whether it is there still; None where that cannot be seen from here."""
        if not self.born or (self.host, self.boot) != (socket.gethostname(), _boot()):
            return None
        return _birth(self.pid) == self.born


@cache
def _self(pid: int) -> Process:
    return Process(socket.gethostname(), _boot(), pid, _birth(pid))


@cache
def _boot() -> str:
    """Name the current start of this machine."""
    if _HAS_PROC:
        try:
            start = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
            return f"{start} {os.readlink('/proc/self/ns/pid')}"
        except OSError:
            return ""
    return _told("sysctl", "-n", "kern.bootsessionuuid")


def _birth(pid: int) -> str:
    """Say when a process started; empty where there is none, or only what its parent has not yet asked for."""
    if _HAS_PROC:
        try:
            # The second field is the name of the program, in brackets, and may hold anything.
            state, *fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except (OSError, ValueError):
            return ""
        return "" if state in "ZX" else fields[18]
    state, _, started = _told("ps", "-o", "state=,lstart=", "-p", str(pid)).partition(" ")
    return "" if state.startswith("Z") else started.strip()


def _told(*command: str) -> str:
    """Return what a command of the system prints; nothing where there is no such command."""
    if sys.platform == "win32":
        return ""
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout.strip()
    except OSError:
        return ""
