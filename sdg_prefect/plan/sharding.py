"""How rows are cut into shards."""

from __future__ import annotations

from math import ceil

MAX_TASK_RUNS = 2000
"""Task runs that a flow run may have at most: what Prefect's server records and draws without trouble."""
_MOST_SHARDS = 64
_LEAST_ROWS = 4


def choose_shard_size(rows: int, steps: int, concurrency: int) -> int:
    """Choose how many rows a shard has.

    Small enough that many shards are under way at once and a slow call holds back few rows; large enough that the task runs of all
    steps stay within what Prefect carries, and that they cost little beside the calls.

    Args:
        rows: Rows of the input.
        steps: Steps that each shard passes.
        concurrency: Calls in flight at most.
    """
    most = max(1, min(_MOST_SHARDS, MAX_TASK_RUNS // max(1, steps)))
    wanted = min(most, max(1, ceil(2 * concurrency / _LEAST_ROWS)))
    return max(_LEAST_ROWS, ceil(rows / wanted))


def cut(rows: int, shard_size: int) -> list[tuple[int, int]]:
    """Return start and length of each shard; no rows are one empty shard."""
    return [(start, min(shard_size, rows - start)) for start in range(0, rows, shard_size)] or [(0, 0)]
