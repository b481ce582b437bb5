"""A run as it goes, added up by block: what is done, how fast, and what is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

from sdg_prefect.counts import Counts
from sdg_prefect.report.forecast import Passage, Range, forecast


@dataclass(slots=True)
class BlockProgress(Passage):
    """What is known of a block so far."""

    name: str = ""
    rows: int = 0
    """Those of shards that it has taken up."""
    tokens: int = 0
    counts: Counts = field(default_factory=Counts)
    """Of the shards that it is done with."""
    started: float | None = None
    """Seconds of the run after which it took up its first shard; None before."""
    flying: int = 0
    """Calls that were sent and have not ended."""
    expected: float = 0.0
    """Rows that it will get in all, as far as can be told."""


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
    calls_in_all: Range | None
    """How many there will be; None as long as that cannot be told."""
    usd: float
    usd_in_all: Range | None

    @property
    def paid(self) -> int:
        """Calls that models answered in this run."""
        return sum(block.paid for block in self.blocks)

    @property
    def tokens(self) -> int:
        """Tokens of all prompts and completions."""
        return sum(block.tokens for block in self.blocks)

    @property
    def flying(self) -> int:
        """Calls in flight."""
        return sum(block.flying for block in self.blocks)

    @property
    def share(self) -> float:
        """How much of the run is done, from 0 to 1: rows that blocks are done with, of those that they will get."""
        in_all = sum(block.expected for block in self.blocks)
        return min(1.0, sum(block.rows_in for block in self.blocks) / in_all) if in_all else 0.0

    @property
    def seconds_left(self) -> Range | None:
        """Seconds until the end, if all goes on as it went; None as long as that cannot be told."""
        if self.calls and self.calls_in_all is not None and self.calls_in_all.likely:
            rest = Range(*(max(0.0, calls / self.calls - 1) for calls in self.calls_in_all))
        else:
            rest = Range.exactly(1 / self.share - 1 if self.share else 0.0)
        if not rest.likely:
            return None
        # Calls end as if by chance: the fewer did, the less is known of their pace. Those in flight may be nearly done.
        error = 1 / sqrt(self.calls) if self.calls else 0.0
        hasty = (1 - error) * self.calls / (self.calls + self.flying) if self.calls else 1.0
        return Range(self.seconds * rest.low * hasty, self.seconds * rest.likely, self.seconds * rest.high * (1 + error))


class Counting:
    """An observer that adds up what happens."""

    def __init__(self) -> None:
        self._flow = ""
        self._blocks: dict[str, BlockProgress] = {}
        self._guard = threading.Lock()
        self._started = time.monotonic()
        self._rows = 0
        self._flying: Callable[[], Mapping[str, int]] = dict

    def watch_calls(self, flying: Callable[[], Mapping[str, int]]) -> None:
        """Ask so for the calls in flight."""
        self._flying = flying

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
            known = self._blocks[block]
            known.rows += rows
            if known.started is None:
                known.started = time.monotonic() - self._started

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        """Count a call."""
        with self._guard:
            known = self._blocks[block]
            known.add_call(counted.get("llm_calls", 0), counted.get("cost_usd", 0.0))
            known.tokens += counted.get("tokens_in", 0) + counted.get("tokens_out", 0)

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """Count a shard that a block is done with."""
        with self._guard:
            known = self._blocks[block]
            known.add(counts, replayed=replayed)
            known.counts += counts

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        """Nothing to count."""

    def say(self, message: str) -> None:
        """Nothing to count."""

    def standing(self) -> Standing:
        """Return how far the run is now."""
        with self._guard:
            blocks = [replace(block) for block in self._blocks.values()]
        flying, comes = self._flying(), float(self._rows)
        for block in blocks:
            block.flying, block.expected = flying.get(block.name, 0), max(comes, block.rows_in)
            rest = block.expected - block.rows_in
            comes = block.rows_out + (rest * block.rows_out / block.rows_in if block.rows_in else rest)
        end = forecast(self._rows, blocks)
        return Standing(
            flow=self._flow,
            rows=self._rows,
            seconds=time.monotonic() - self._started,
            blocks=blocks,
            calls=sum(block.calls for block in blocks),
            calls_in_all=None if end is None else end.calls,
            usd=sum(block.usd for block in blocks),
            usd_in_all=None if end is None else end.usd,
        )
