"""What one task run would do, as far as that is known before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.piece import Piece
from sdg_prefect.engine.rates import Sample
from sdg_prefect.engine.rehearsal import Unasked

if TYPE_CHECKING:
    import pyarrow as pa

_NOTHING, _NOT_ASKED, _NOT_SEEN = Guess(), Unasked(), Sample()


@dataclass(frozen=True, slots=True)
class Glance:
    """What one task run would do."""

    parts: tuple[Piece, ...] = ()
    """All that comes out, where that is known."""
    table: pa.Table | None = None
    """What comes out for sure, where more depends on replies to come."""
    waiting: Guess = _NOTHING
    """Input rows of which nothing is known yet."""
    asking: Guess = _NOTHING
    """Input rows whose calls are counted, and whose output depends on the replies."""
    unasked: Unasked = _NOT_ASKED
    rows: Sample = _NOT_SEEN
    """Input rows whose output is known, and what they gave."""
    calls: Sample = _NOT_SEEN
    """Input rows whose calls are known, and how many they take."""

    def pieces(self, rate: Guess) -> list[Piece]:
        """Return what comes out.

        Args:
            rate: How many rows one of those gives whose output is not known.
        """
        return list(self.parts) or [Piece(None, self.table, (self.waiting + self.asking).times(rate))]
