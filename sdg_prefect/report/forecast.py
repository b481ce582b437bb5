"""What a run will have taken at its end, as its rows went so far. Needs no model and no plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sdg_prefect.counts import Counts


@dataclass(slots=True)
class Passage:
    """What a block has done so far."""

    rows_in: int = 0
    """Rows of the shards that it is done with."""
    rows_out: int = 0
    asked_rows: int = 0
    """Those of ``rows_in`` whose shards were not there from an earlier run: only they tell what a row takes."""
    asked: int = 0
    """Completions in those shards, of a model or of the ledger."""
    asked_usd: float = 0.0
    calls: int = 0
    """Calls that have ended, those of shards at work too."""
    usd: float = 0.0
    """What they cost."""

    def add(self, counts: Counts, *, replayed: bool) -> None:
        """Add a shard that the block is done with.

        Args:
            counts: Its counts.
            replayed: True if it was there from an earlier run.
        """
        self.rows_in += counts.rows_in
        self.rows_out += counts.rows_out
        if not replayed:
            self.asked_rows += counts.rows_in
            self.asked += counts.llm_calls + counts.replayed
            self.asked_usd += counts.cost_usd


@dataclass(frozen=True, slots=True)
class Forecast:
    """What all blocks together will have taken at the end."""

    calls: float = 0.0
    usd: float = 0.0


def forecast(rows: int, blocks: Iterable[Passage]) -> Forecast | None:
    """Say what a run will have taken; None as long as some block has shown nothing of it.

    Each block is taken to go on as it went: as many rows out and as many calls for a row, at the same price.

    Args:
        rows: Seeds of the run.
        blocks: What each block has done, in the order of the flow.
    """
    calls, usd, expected = 0.0, 0.0, float(rows)
    for block in blocks:
        rest = max(0.0, expected - block.rows_in)
        if rest and not block.asked_rows:
            return None
        growth = 1 + rest / block.asked_rows if rest else 1.0
        # Calls of shards at work are part of the rest.
        calls += max(block.calls, block.asked * growth)
        usd += max(block.usd, block.asked_usd * growth)
        expected = block.rows_out + rest * block.rows_out / block.rows_in if block.rows_in else 0.0
    return Forecast(calls, usd)
