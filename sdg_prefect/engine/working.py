"""One block at work on one shard: rows in, rows and their ids out, every row accounted for."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.accounting import account
from sdg_prefect.blocks.base import Columns
from sdg_prefect.counts import Counts
from sdg_prefect.engine.live import Live, ShardContext
from sdg_prefect.errors import BlockError, SdgError
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import ROW_ID, concat, ids_of, to_dataset, to_table
from sdg_prefect.store.checkpoints import Checkpoint, write_checkpoint
from sdg_prefect.store.shards import DatasetRef, read_shard

if TYPE_CHECKING:
    import pyarrow as pa

_PACKAGE = str(Path(__file__).parent.parent)


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
        parts = [part.slice(*piece) for part in parts for piece in cut(part.num_rows, live.sizes.of(part.num_rows))]
    rejects = [context.rejects[row] for row in sorted(context.rejects)]
    return write_checkpoint(live.root, folder, parts, counts, rejects, live.run_id, time.perf_counter() - started)


def _run_block(step: Step, table: pa.Table, context: ShardContext) -> list[pa.Table]:
    if not table.num_rows:
        return [_without_rows(step, table)]
    try:
        made = step.block.run(to_dataset(table), context)
        return [to_table(part) for part in (made if isinstance(made, list) else [made])]
    except SdgError:
        raise
    except Exception as error:
        place = _place_in_own_code(error)
        raise BlockError(f"block '{step.name}' ({step.block.type_name}): {type(error).__name__}: {error}{place}") from error


def _without_rows(step: Step, table: pa.Table) -> pa.Table:
    """Return no rows with the columns that the block would leave; it is not asked to work on nothing."""
    import pyarrow as pa

    before = Columns(tuple(name for name in table.column_names if name != ROW_ID))
    after = step.block.columns_after(before).names or before.names
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    return pa.table({name: pa.array([], kinds.get(name, pa.null())) for name in (ROW_ID, *after)})


def _place_in_own_code(error: Exception) -> str:
    """Say where in a user's own block an exception arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _account(step: Step, table: pa.Table, parts: list[pa.Table], context: ShardContext) -> tuple[list[pa.Table], Counts]:
    """Give the output rows their ids, and say what became of every input row and of every call."""
    accounted = account(
        ids_of(table),
        parts,
        [reject.row_id for reject in context.rejects.values()],
        name=step.name,
        type_name=step.block.type_name,
        leaves_out=step.block.leaves_out,
        makes_rows=step.block.makes_rows,
        log=context.log,
    )
    return list(accounted.parts), context.counts + accounted.counts


def _chosen_columns(step: Step, part: pa.Table) -> pa.Table:
    dropped = [name for name in step.drop_columns if name in part.column_names]
    part = part.drop_columns(dropped) if dropped else part
    if step.keep_columns is None:
        return part
    return part.select([ROW_ID, *(name for name in step.keep_columns if name in part.column_names)])
