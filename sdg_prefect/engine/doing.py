"""What a step does to rows: run the block, see that no row got lost, and keep the columns that are wanted."""

from __future__ import annotations

import hashlib
import random
import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.accounting import Accounted, account
from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.lanes import LaneBlock
from sdg_prefect.counts import Counts
from sdg_prefect.engine.choosing import CountingContext, lineage, where
from sdg_prefect.errors import BlockError, SdgError, StoreError
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import ROW_ID, is_reserved, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa

_PACKAGE = str(Path(__file__).parent.parent)


def row_random(step: Step, row_id: str) -> random.Random:
    """Return a generator of random numbers that depends on the step and the row only."""
    seed = hashlib.blake2b(f"{step.key}\x1f{row_id}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(seed, "big"))


def do(step: Step, table: pa.Table, context: CountingContext, spill_folder: str | None = None) -> tuple[list[pa.Table], Counts]:
    """Run a step on rows.

    Args:
        step: The block and what is done after it.
        table: The rows, with their ids.
        context: The block's context on these rows.
        spill_folder: Where rows go that are too many for memory; see ``Spill``.

    Returns:
        The parts of its output, with the ids of their rows, and the counts of rows and calls.

    Raises:
        ConservationError: The block lost rows.
        BlockError: The block failed.
    """
    run = partial(_accounted, step, spill_folder)
    if not step.when:
        accounted = run(table, context)
        parts, counts = list(accounted.parts), accounted.counts
    else:
        try:
            parts, counts = where(step.when, table, context, run, spill_folder)
        except StoreError as error:
            raise BlockError(f"block '{step.name}', whose 'when' lets some rows pass by: {error}") from error
    return [_chosen_columns(step, part) for part in parts], context.counts + counts


def _run_block(step: Step, table: pa.Table, context: CountingContext, spill_folder: str | None) -> list[pa.Table]:
    if not table.num_rows and not isinstance(step.block, LaneBlock):
        return [_without_rows(step, table)]
    try:
        made = step.block.run(to_dataset(table), context)
        return [to_table(part, spill_folder) for part in (made if isinstance(made, list) else [made])]
    except SdgError:
        raise
    except Exception as error:
        place = _place_in_own_code(error)
        raise BlockError(f"block '{step.name}' ({step.block.type_name}): {type(error).__name__}: {error}{place}") from error


def _without_rows(step: Step, table: pa.Table) -> pa.Table:
    """Return no rows with the columns that the block would leave; it is not asked to work on nothing."""
    import pyarrow as pa

    reserved = _reserved(table)
    before = Columns(tuple(name for name in table.column_names if name not in reserved))
    after = step.block.columns_after(before).names or before.names
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    return pa.table({name: pa.array([], kinds.get(name, pa.null())) for name in (ROW_ID, *after)})


def _place_in_own_code(error: Exception) -> str:
    """Say where in a user's own block an exception arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _accounted(step: Step, spill_folder: str | None, table: pa.Table, context: CountingContext) -> Accounted:
    """Run the block; give the output rows their ids, and say what became of every input row."""
    places = [] if isinstance(step.block, LaneBlock) else [name for name in _reserved(table) if name != ROW_ID]
    seen = table.drop_columns(places) if places else table
    accounted = account(
        table.column(ROW_ID),
        _run_block(step, seen, context, spill_folder),
        [reject.row_id for reject in context.rejects.values()],
        name=step.name,
        type_name=step.block.type_name,
        leaves_out=step.block.leaves_out,
        makes_rows=step.block.makes_rows,
        log=context.log,
    )
    return _with_places(accounted, table, places) if places else accounted


def _reserved(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if is_reserved(name)]


def _with_places(accounted: Accounted, table: pa.Table, names: Sequence[str]) -> Accounted:
    """Give the output rows the places of the rows that they are made of: blocks never see those."""
    import pyarrow as pa

    origins = pa.array(lineage(table.column(ROW_ID), accounted.parents))
    parts, start = [], 0
    for part in accounted.parts:
        taken = origins.slice(start, part.num_rows)
        parts.append(reduce(lambda rows, name: rows.add_column(1, name, table.column(name).take(taken)), names, part))
        start += part.num_rows
    return replace(accounted, parts=tuple(parts))


def _chosen_columns(step: Step, part: pa.Table) -> pa.Table:
    dropped = [name for name in step.drop_columns if name in part.column_names]
    part = part.drop_columns(dropped) if dropped else part
    if step.keep_columns is None:
        return part
    return part.select([*_reserved(part), *(name for name in step.keep_columns if name in part.column_names)])
