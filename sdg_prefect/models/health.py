"""Whether an endpoint can be called, as its calls tell. Knows no event loop."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sdg_prefect.models.completion import Completion
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.settings import Settings

_OUT = 5
"""Rows whose calls fail one after another until an endpoint is out."""
_LAST_OUT = 16
"""The same where no other endpoint takes the calls: a few rows that no server can answer must not stop a run."""
_SICK = ("Unreachable", "Timeout", "ServerError", "BrokenReply")
"""Passing failures for the endpoint's sake; all others show that the model is there. Whatever answers with web pages, say, and
not with completions would else be asked for every row, as often as a call is tried."""
_MOST_DOUBLINGS = 32


def is_sick(outcome: Completion | CallError) -> bool:
    """True if a call failed for the endpoint's sake: another one may answer it."""
    return isinstance(outcome, CallError) and (outcome.verdict.reach is Reach.RUN or outcome.verdict.error in _SICK)


@dataclass
class Health:
    """Counts what fails at an endpoint without an answer in between.

    An endpoint is in until the calls of several rows have failed one after another; it is out at once when it refuses every call,
    for its key or its model. While it is out, one call at a time probes it, after a pause that doubles with each probe in vain.
    """

    settings: Settings
    is_out: bool = False
    is_refusing: bool = False
    """True if no call can succeed until someone acts, as far as it says."""
    probes: int = 0
    """Probes in vain since it is out."""
    _rows: set[str] = field(default_factory=set)
    """Rows whose calls failed since the last answer."""

    def note_answer(self) -> bool:
        """Learn that it is there; True if it was out."""
        was_out = self.is_out
        self.is_out = self.is_refusing = False
        self.probes = 0
        self._rows.clear()
        return was_out

    def note_failure(self, row_id: str, *, is_probe: bool, is_last: bool) -> bool:
        """Learn that a call failed for the endpoint's sake; True if it is out now, and was not or was probed.

        Args:
            row_id: The row of the call.
            is_probe: True if the call was a probe. Others that end while it is out tell nothing new.
            is_last: True if no other endpoint takes its calls.
        """
        self._rows.add(row_id)
        if self.is_out:
            self.probes += is_probe
            return is_probe
        self.is_out = len(self._rows) >= (_LAST_OUT if is_last else _OUT)
        return self.is_out

    def note_refusal(self, *, is_probe: bool) -> bool:
        """Learn that it refuses every call; True if it is out now, and was not or was probed."""
        was_out, self.is_out, self.is_refusing = self.is_out, True, True
        self.probes += is_probe
        return is_probe or not was_out

    @property
    def is_gone(self) -> bool:
        """True if nothing more is to be expected of it: it refuses, or all probes were in vain."""
        return self.is_out and (self.is_refusing or self.probes >= self.settings.endpoint_probes)

    def pause(self) -> float:
        """Draw the seconds until the next probe: exponential backoff with full jitter."""
        longest = self.settings.call_backoff_max
        growing = self.settings.call_backoff * 2 ** min(self.probes, _MOST_DOUBLINGS)
        return random.uniform(0, longest if self.is_refusing else min(longest, growing))
