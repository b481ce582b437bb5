"""What a step does to rows: run the block, see that no row got lost, and keep the columns that are wanted."""

from __future__ import annotations

import hashlib
import random
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sdg_prefect.accounting import account
from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.context import Context
from sdg_prefect.counts import Counts
from sdg_prefect.errors import BlockError, SdgError
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import ROW_ID, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa

_PACKAGE = str(Path(__file__).parent.parent)


class HasRowId(Protocol):
    """A rejected row."""

    @property
    def row_id(self) -> str:
        """Its id."""
        ...


class CountingContext(Context, Protocol):
    """A block's context that also knows what the block rejected and what its calls took."""

    @property
    def rejects(self) -> Mapping[int, HasRowId]:
        """Rejected rows, by their place."""
        ...

    @property
    def counts(self) -> Counts:
        """Calls so far."""
        ...


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
    parts, counts = _account(step, table, _run_block(step, table, context, spill_folder), context)
    return [_chosen_columns(step, part) for part in parts], counts


def _run_block(step: Step, table: pa.Table, context: CountingContext, spill_folder: str | None) -> list[pa.Table]:
    if not table.num_rows:
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

    before = Columns(tuple(name for name in table.column_names if name != ROW_ID))
    after = step.block.columns_after(before).names or before.names
    kinds = {name: table.schema.field(name).type for name in table.column_names}
    return pa.table({name: pa.array([], kinds.get(name, pa.null())) for name in (ROW_ID, *after)})


def _place_in_own_code(error: Exception) -> str:
    """Say where in a user's own block an exception arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    own = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _account(step: Step, table: pa.Table, parts: list[pa.Table], context: CountingContext) -> tuple[list[pa.Table], Counts]:
    """Give the output rows their ids, and say what became of every input row and of every call."""
    accounted = account(
        table.column(ROW_ID),
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
