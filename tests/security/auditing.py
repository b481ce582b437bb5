"""What Python does beneath a piece of code: programs it starts, files it opens, code it makes."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn")
"""Another program."""
UNPICKLES = ("pickle.find_class",)
"""A value that may run what it likes."""
REACHES_OUT = ("socket.connect", "socket.getaddrinfo", "urllib.Request")
"""The network."""

_watching = threading.local()


@contextmanager
def audited(*events: str) -> Iterator[list[str]]:
    """Note which of some events of Python's audit happen in this thread.

    Args:
        events: Their names; see the audit events table of Python's documentation.
    """
    seen: list[str] = []
    before = getattr(_watching, "wanted", None)
    _watching.wanted = (frozenset(events), seen)
    try:
        yield seen
    finally:
        _watching.wanted = before


def _note(event: str, args: tuple[object, ...]) -> None:
    wanted = getattr(_watching, "wanted", None)
    if wanted is not None and event in wanted[0]:
        wanted[1].append(f"{event}: {args!r:.200}")


# A hook stays for as long as the process; it does nothing unless somebody looks.
sys.addaudithook(_note)
