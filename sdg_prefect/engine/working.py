"""One block at work on one shard: rows in, rows and their ids out, every row accounted for."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sdg_prefect.engine.doing import do
from sdg_prefect.engine.live import Live, ShardContext
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import concat
from sdg_prefect.store.checkpoints import Checkpoint, write_checkpoint
from sdg_prefect.store.shards import DatasetRef, read_shards


def work(
    live: Live, step: Step, context: ShardContext, refs: Sequence[DatasetRef], folder: str, *, is_last_attempt: bool
) -> Checkpoint:
    """Run a block on the rows of some shards and write its checkpoint. Runs in a worker thread.

    Args:
        live: The run.
        step: The block and what is done after it.
        context: The block's context on these shards.
        refs: The shards; one for a row-local block, all for a global one.
        folder: Where the checkpoint goes.
        is_last_attempt: True if Prefect will not try again.

    Raises:
        Damaged: The data of some shards is.
        TransientError: Calls failed for a passing reason, and there is another attempt.
        ConservationError: The block lost rows.
        BlockError: The block failed.
    """
    started = time.perf_counter()
    table = concat(read_shards(live.root, refs))
    context.begin(table, is_last_attempt=is_last_attempt)
    parts, counts = do(step, table, context, live.root.spill_folder)
    if live.retry_rejects and context.retry():
        context.begin(table, is_last_attempt=is_last_attempt)
        parts, counts = do(step, table, context, live.root.spill_folder)
    if step.scope == "all":
        parts = [part.slice(*piece) for part in parts for piece in cut(part.num_rows, live.sizes.of(part.num_rows))]
    rejects = [context.rejects[row] for row in sorted(context.rejects)]
    checkpoint = write_checkpoint(live.root, folder, parts, counts, rejects, live.run_id, time.perf_counter() - started)
    context.seal()
    return checkpoint
