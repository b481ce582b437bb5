"""A run over time: how much was in flight and done at even moments, never more of them than a chart has room for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MOST = 240
_FIRST = 0.25


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a run was at one moment."""

    in_flight: int
    """Calls that were sent and had not ended."""
    answers: int
    """Calls that had been answered so far."""
    rows: int
    """Rows that blocks were done with so far, all blocks together."""


@dataclass(slots=True)
class Timeline:
    """The moments of a run. When there are too many, every other one is forgotten, and from then on they are further apart."""

    every: float = _FIRST
    """Seconds between two moments."""
    moments: list[Moment] = field(default_factory=list)

    def add(self, moment: Moment) -> None:
        """Add the moment that is ``every`` seconds after the last one."""
        self.moments.append(moment)
        if len(self.moments) > _MOST:
            # Of each two the one with more in flight: what is looked for are the peaks.
            pairs = zip(self.moments[::2], self.moments[1::2], strict=False)
            self.moments = [Moment(max(one.in_flight, other.in_flight), other.answers, other.rows) for one, other in pairs]
            self.every *= 2

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object of columns."""
        return {
            "every_seconds": self.every,
            "in_flight": [moment.in_flight for moment in self.moments],
            "answers": [moment.answers for moment in self.moments],
            "rows": [moment.rows for moment in self.moments],
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Timeline:
        """Read it back."""
        columns = zip(told["in_flight"], told["answers"], told["rows"], strict=True)
        return cls(float(told["every_seconds"]), [Moment(*column) for column in columns])
