"""One block at work on one shard: rows in, rows and their ids out, every row accounted for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sdg_prefect.blocks.lanes import Split
from sdg_prefect.engine.context import Ask, ShardContext
from sdg_prefect.engine.doing import do
from sdg_prefect.engine.reject_lines import rejects_line
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import Sizes, cut
from sdg_prefect.store.checkpoints import Checkpoint, write_checkpoint
from sdg_prefect.store.columns import together
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shards


@dataclass(frozen=True, slots=True)
class Assignment:
    """A block and its shards: all that one has to know to do the work. It pickles, so that one may be anywhere."""

    root: Root
    run_id: str
    step: Step
    """The block and what is done after it."""
    refs: tuple[DatasetRef, ...]
    """The shards; one for a row-local block, all for a global one."""
    folder: str
    """Where the checkpoint goes."""
    sizes: Sizes
    """How the rows of a global block are cut into shards again."""
    retry_rejects: bool = False
    """True if rows that earlier runs rejected are asked for again."""
    is_last_attempt: bool = True
    """True if Prefect will not try again."""


def work(this: Assignment, ask: Ask) -> Checkpoint:
    """Run a block on the rows of some shards and write its checkpoint. Takes its time, so it is for a thread.

    Args:
        this: What to do.
        ask: Reaches the models.

    Raises:
        Damaged: The data of some shards is.
        TransientError: Calls failed for a passing reason, and there is another attempt.
        ConservationError: The block lost rows.
        BlockError: The block failed.
        CancelledError: The run is stopping, and not every call was made.
    """
    started = time.perf_counter()
    step, spill_folder = this.step, this.root.spill_folder
    table = together(read_shards(this.root, this.refs))
    context = ShardContext(step, table, ask, is_last_attempt=this.is_last_attempt)
    parts, counts = do(step, table, context, spill_folder)
    if this.retry_rejects and (again := context.outdated):
        context = ShardContext(step, table, ask, is_last_attempt=this.is_last_attempt, again=again)
        parts, counts = do(step, table, context, spill_folder)
    numbered = list(enumerate(parts))
    if step.scope == "all":
        numbered = [
            (number, part.slice(*piece))
            for number, part in numbered
            for piece in cut(part.num_rows, this.sizes.of(part.num_rows))
        ]
    lanes = [number for number, _ in numbered] if isinstance(step.block, Split) else []
    rejects = [context.rejects[row] for row in sorted(context.rejects)]
    if rejects:
        context.log(rejects_line(rejects, table.num_rows))
    seconds, seen = time.perf_counter() - started, context.seen.to_json()
    pieces = [part for _, part in numbered]
    return write_checkpoint(this.root, this.folder, pieces, counts, rejects, this.run_id, seconds, lanes, seen)
