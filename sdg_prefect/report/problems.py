"""What went wrong in a run so far, gathered: a thousand equal failures are one line."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class Trouble:
    """Failures of one class at one block."""

    block: str
    kind: str
    """The class of error."""
    said: str = ""
    """What an endpoint, or a client, said last."""
    calls: int = 0
    """Calls that came to nothing."""
    rows: int = 0
    """Rows that were rejected."""


class Problems:
    """Gathers troubles; the latest is last."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Trouble] = {}
        self._guard = threading.Lock()

    def note(self, block: str, kind: str, said: str = "", rows: int = 0) -> bool:
        """Note a failure; True if it is the first of its class at its block."""
        with self._guard:
            is_new = (block, kind) not in self._known
            trouble = self._known.pop((block, kind), None) or Trouble(block, kind)
            trouble.said, trouble.rows = said or trouble.said, trouble.rows + rows
            trouble.calls += not rows
            self._known[block, kind] = trouble
        return is_new

    def latest(self, count: int) -> list[Trouble]:
        """Return the last troubles, the latest first."""
        with self._guard:
            return list(reversed(self._known.values()))[:count]
