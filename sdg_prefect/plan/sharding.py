"""How rows are cut into shards."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

MAX_TASK_RUNS = 2000
"""Task runs that a flow run may have at most: what Prefect's server records and draws without trouble."""
_LEAST_ROWS = 8
"""Rows below which a task run costs more than it saves."""
_FEW_SHARDS = 16
"""Shards that are enough to keep a model busy while others write their checkpoints."""
_CALM_ROWS = 256
"""Rows of a shard from which on more rows make more shards rather than larger ones."""

_QUICK_ROWS = 50_000
"""Rows of a shard where nothing but the machine is waited for: a task run takes little beside the rows, memory stays small."""

_ROWS_AT_WORK = 16_384
"""Rows at work at once, whatever the number of all rows: they are what a run holds in memory."""
_LEAST_AT_ONCE = 4
_AT_ONCE = 64
"""Shards at work at most, unless their rows are too few for the calls that may be open."""
_ROWS_FOR_A_CALL = 2
"""Rows at work for each call that may be open: some wait for the slowest call of their shard, or for a checkpoint."""
_MOST_AT_ONCE = 256
_ROWS_IN_BATCHES = 100_000
"""Rows at work at once where models are asked in batches: enough for two of the largest."""


def choose_shard_size(rows: int, steps: int) -> int:
    """Choose how many rows a shard has.

    Small enough that many shards are under way at once, that a slow call holds back few rows and that a crash costs little; large
    enough that the task runs of all steps stay within what Prefect carries, and that they cost little beside the calls.

    Args:
        rows: Rows to cut.
        steps: Steps that each shard passes.
    """
    wanted = max(_FEW_SHARDS, ceil(rows / _CALM_ROWS))
    most = max(1, MAX_TASK_RUNS // max(1, steps))
    shards = max(1, min(wanted, most, ceil(rows / _LEAST_ROWS)))
    return max(1, ceil(rows / shards))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the shards of a run are, at whatever point they are cut."""

    fixed: int | None
    """What the user asks for."""
    steps: int
    """Steps of the plan."""
    is_quick: bool = False
    """True if no step asks a model or runs a user's own code."""
    in_batches: bool = False
    """True if a model is asked in batches, which are made of what many shards ask for."""

    def of(self, rows: int) -> int:
        """Return the size of the shards of so many rows."""
        chosen = choose_shard_size(rows, self.steps)
        return self.fixed or (max(chosen, min(rows, _QUICK_ROWS)) if self.is_quick else chosen)

    def least(self, rows: int) -> int:
        """Return the size below which the shards of so many rows make more task runs than Prefect carries."""
        return ceil(rows * max(1, self.steps) / MAX_TASK_RUNS)

    def at_once(self, rows: int, calls: int = 0) -> int:
        """Return how many shards may be at work at once.

        A shard at work holds a thread and its rows, so that there are bounds to both. Its size depends neither on the mode nor on
        the calls that may be open: what was begun in batches, or slowly, is finished in another way with the same checkpoints.

        Args:
            rows: All rows.
            calls: Calls that may be open at once.
        """
        if self.is_quick and not self.fixed:
            return _LEAST_AT_ONCE
        size = self.of(rows)
        wanted = _ROWS_IN_BATCHES if self.in_batches else _ROWS_FOR_A_CALL * calls
        return max(_LEAST_AT_ONCE, min(_AT_ONCE, _ROWS_AT_WORK // size), min(_MOST_AT_ONCE, wanted // size))

    def too_many(self, rows: int) -> str:
        """Say what speaks against the size that the user asks for; nothing where Prefect carries it."""
        task_runs = len(cut(rows, self.of(rows))) * self.steps
        if task_runs <= MAX_TASK_RUNS:
            return ""
        return (
            f"shards of {self.of(rows)} rows make {task_runs:,} task runs or more; Prefect's server carries about "
            f"{MAX_TASK_RUNS:,}. Leave --shard-size away to have them sized."
        )


def cut(rows: int, shard_size: int) -> list[tuple[int, int]]:
    """Return start and length of each shard; no rows are one empty shard."""
    return [(start, min(shard_size, rows - start)) for start in range(0, rows, shard_size)] or [(0, 0)]
