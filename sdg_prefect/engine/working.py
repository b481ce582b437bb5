"""One block at work on one shard: rows in, rows and their ids out, every row accounted for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdg_prefect.counts import Counts
from sdg_prefect.engine.live import Live, ShardContext
from sdg_prefect.errors import BlockError, ConservationError, SdgError
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import ROW_ID, child_ids, concat, ids_of, to_dataset, to_table, with_ids
from sdg_prefect.store.checkpoints import Checkpoint, write_checkpoint
from sdg_prefect.store.shards import DatasetRef, read_shard

if TYPE_CHECKING:
    import pyarrow as pa


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
        TransientError: Calls failed for a passing reason, and there is another attempt.
        ConservationError: The block lost rows.
        BlockError: The block failed.
    """
    started = time.perf_counter()
    table = concat([read_shard(live.root, ref) for ref in refs])
    context.begin(table, is_last_attempt=is_last_attempt)
    parts = _run_block(step, table, context)
    parts, counts = _account(step, table, parts, context)
    parts = [_chosen_columns(step, part) for part in parts]
    if step.scope == "all":
        parts = [part.slice(*piece) for part in parts for piece in cut(part.num_rows, live.shard_size)]
    rejects = [context.rejects[row] for row in sorted(context.rejects)]
    return write_checkpoint(live.root, folder, parts, counts, rejects, live.run_id, time.perf_counter() - started)


def _run_block(step: Step, table: pa.Table, context: ShardContext) -> list[pa.Table]:
    try:
        made = step.block.run(to_dataset(table), context)
        return [to_table(part) for part in (made if isinstance(made, list) else [made])]
    except SdgError:
        raise
    except Exception as error:
        raise BlockError(f"block '{step.name}' ({step.block.type_name}): {type(error).__name__}: {error}") from error


def _account(step: Step, table: pa.Table, parts: list[pa.Table], context: ShardContext) -> tuple[list[pa.Table], Counts]:
    """Give the output rows their ids, and say what became of every input row."""
    before = ids_of(table)
    parents = _parents(step, before, parts, context)
    known = set(before)
    gave = set(parents) & known
    rejected = {reject.row_id for reject in context.rejects.values()}
    missing = known - gave - rejected
    if strangers := set(parents) - known:
        raise ConservationError(f"block '{step.name}' gave {len(strangers)} row(s) with an id that none of its rows has.")
    if gave & rejected:
        raise ConservationError(f"block '{step.name}' rejected {len(gave & rejected)} row(s) that it also gave.")
    how = step.block.leaves_out
    if missing and how == "nothing":
        raise ConservationError(
            f"block '{step.name}' lost {len(missing)} of {len(before)} rows without a word.",
            "A block that leaves rows out on purpose says so with leaves_out = 'filtered'; for rows that fail it calls context.reject.",
        )
    counts = context.counts + Counts(
        rows_in=len(before),
        rows_out=len(parents),
        gave_rows=len(gave),
        filtered=len(missing) if how == "filtered" else 0,
        deduplicated=len(missing) if how == "deduplicated" else 0,
        rejected=len(rejected),
    )
    if not counts.is_conserved:
        raise ConservationError(f"block '{step.name}' breaks the law of rows: {counts.model_dump()}.")
    return _identified(step, parts, parents), counts


def _parents(step: Step, before: Sequence[str], parts: list[pa.Table], context: ShardContext) -> list[str]:
    """Return for each output row the id of the input row that it is made of.

    A user's block may have built its rows anew and lost the ids. As many rows as before are then taken to be the same rows in the
    same order; otherwise each counts as made of the first.
    """
    if all(ROW_ID in part.column_names for part in parts):
        found = [row_id for part in parts for row_id in ids_of(part)]
        if None not in found:
            return found
    rows = sum(part.num_rows for part in parts)
    if rows == len(before):
        return list(before)
    if rows and not before:
        raise ConservationError(f"block '{step.name}' made {rows} rows of none.")
    if not rows:
        return []
    context.log(f"the block does not pass on the column {ROW_ID}, so its rows cannot be traced to those that they are made of")
    return [*before, *[before[0]] * (rows - len(before))] if rows > len(before) else list(before[:rows])


def _identified(step: Step, parts: list[pa.Table], parents: list[str]) -> list[pa.Table]:
    makes_rows = step.block.makes_rows or len(set(parents)) != len(parents)
    ids = child_ids(parents, step.block.type_name) if makes_rows else parents
    identified, start = [], 0
    for part in parts:
        identified.append(with_ids(part, ids[start : start + part.num_rows]))
        start += part.num_rows
    return identified


def _chosen_columns(step: Step, part: pa.Table) -> pa.Table:
    dropped = [name for name in step.drop_columns if name in part.column_names]
    part = part.drop_columns(dropped) if dropped else part
    if step.keep_columns is None:
        return part
    return part.select([ROW_ID, *(name for name in step.keep_columns if name in part.column_names)])
