"""How many rows are wanted, and how many seeds are tried next to get them."""

from __future__ import annotations

from math import ceil, sqrt

from pydantic import Field

from sdg_prefect.frozen import Frozen

_CANDIDATES = 10
"""Candidates for each wanted row, where nobody says how many there may be."""
_PILOT = 10
"""The first wave is this part of the target: from it follows how many rows a candidate gives."""
_LEAST = 8
"""Candidates of a wave at least."""
_GROWTH = 4
"""A wave has this many times the candidates tried so far at most: a small sample may have been an unlucky one."""
_LAST = 0.1
"""While more than this part of the target is missing, a wave stops short of it: the rate may be two standard errors higher."""
_FEW = 4
"""Rows so few that they do not count as many, whatever the target."""
_MARGIN = 1.1
"""The last wave has a tenth more candidates than it needs at the rate so far."""


class Target(Frozen):
    """An exact number of rows, and what may be tried for it."""

    rows: int = Field(ge=1)
    """Rows that are wanted."""
    max_candidates: int | None = Field(default=None, ge=1)
    """Seeds that are tried at most; each time that a seed is taken again counts. Ten for each row if not given."""

    @property
    def candidates(self) -> int:
        """Seeds that are tried at most."""
        return self.max_candidates or self.rows * _CANDIDATES

    def next_wave(self, accepted: int, tried: int) -> int:
        """Say how many candidates are tried next; 0 when the target is met or nothing more may be tried.

        Args:
            accepted: Rows that came out so far.
            tried: Candidates so far.
        """
        left = self.candidates - tried
        if accepted >= self.rows or left <= 0:
            return 0
        if not tried:
            wanted = min(self.rows, max(_LEAST, ceil(self.rows / _PILOT)))
        elif not accepted:
            wanted = 2 * tried
        else:
            missing = self.rows - accepted
            is_last = missing <= max(_LAST * self.rows, _FEW)
            each = accepted / _MARGIN if is_last else accepted + 2 * sqrt(accepted)
            wanted = max(_LEAST, min(ceil(missing * tried / each), _GROWTH * tried))
        return min(left, wanted)

    def __str__(self) -> str:
        return f"{self.rows:,} rows, from at most {self.candidates:,} candidates"
