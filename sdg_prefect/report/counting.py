"""A run as it goes, added up by block: what is done, how fast, and what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sdg_prefect.counts import Counts
from sdg_prefect.report.forecast import Passage, forecast


@dataclass(slots=True)
class BlockProgress(Passage):
    """What is known of a block so far."""

    name: str = ""
    rows: int = 0
    """Those of shards that it has taken up."""
    tokens: int = 0
    counts: Counts = field(default_factory=Counts)
    """Of the shards that it is done with."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is at one moment."""

    flow: str
    rows: int
    """Seeds of the run."""
    seconds: float
    """Since its first block."""
    blocks: Sequence[BlockProgress]
    calls: int
    """Calls that have ended, and replies that the ledger gave."""
    calls_in_all: int | None
    """How many there will be; None as long as that cannot be told."""
    usd: float
    usd_in_all: float | None

    @property
    def tokens(self) -> int:
        """Tokens of all prompts and completions."""
        return sum(block.tokens for block in self.blocks)

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1: rows that blocks are done with, of those that they will get."""
        expected, done, in_all = float(self.rows), 0.0, 0.0
        for block in self.blocks:
            done += block.rows_in
            in_all += max(expected, block.rows_in)
            rest = max(0.0, expected - block.rows_in)
            expected = block.rows_out + (rest * block.rows_out / block.rows_in if block.rows_in else rest)
        return min(1.0, done / in_all) if in_all else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end, if all goes on as it went; None as long as that cannot be told."""
        done = self.calls / self.calls_in_all if self.calls_in_all else self.share
        return self.seconds * (1 - done) / done if 0 < done < 1 else None


class Counting:
    """An observer that adds up what happens."""

    def __init__(self) -> None:
        self._flow = ""
        self._blocks: dict[str, BlockProgress] = {}
        self._guard = threading.Lock()
        self._started = time.monotonic()
        self._rows = 0

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        """Begin to count."""
        self._flow = flow
        self._blocks = {name: BlockProgress(name=name) for name in blocks}
        self._started = time.monotonic()
        self._rows = rows

    def grow(self, rows: int) -> None:
        """Count on more seeds."""
        self._rows = rows

    def shard_started(self, block: str, rows: int) -> None:
        """Count a shard that a block takes up."""
        with self._guard:
            self._blocks[block].rows += rows

    def call_done(self, block: str, counts: Counts) -> None:
        """Count a call."""
        with self._guard:
            known = self._blocks[block]
            known.calls += 1
            known.tokens += counts.tokens_in + counts.tokens_out
            known.usd += counts.cost_usd

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """Count a shard that a block is done with."""
        with self._guard:
            known = self._blocks[block]
            known.add(counts, replayed=replayed)
            known.counts += counts

    def say(self, message: str) -> None:
        """Nothing to count."""

    def standing(self) -> Standing:
        """Return how far the run is now."""
        with self._guard:
            blocks = [replace(block) for block in self._blocks.values()]
        expected = forecast(self._rows, blocks)
        return Standing(
            flow=self._flow,
            rows=self._rows,
            seconds=time.monotonic() - self._started,
            blocks=blocks,
            calls=sum(block.calls for block in blocks),
            calls_in_all=None if expected is None else round(expected.calls),
            usd=sum(block.usd for block in blocks),
            usd_in_all=None if expected is None else expected.usd,
        )
