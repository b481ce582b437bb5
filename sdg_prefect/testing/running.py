"""Run a block on rows, with every row accounted for as in a real run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeAlias

from sdg_prefect.accounting import Accounted, account
from sdg_prefect.blocks import Block
from sdg_prefect.counts import Counts
from sdg_prefect.models.completion import Request
from sdg_prefect.rows import ROW_ID, concat, ids_of, to_dataset, to_table, with_ids, without_ids
from sdg_prefect.seed_ids import seed_ids
from sdg_prefect.testing.context import Rejected, ScriptedContext
from sdg_prefect.testing.script import Replies, Script, prompt_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

Rows: TypeAlias = "Sequence[Mapping[str, Any]] | Dataset | pa.Table"
"""Rows as a list of mappings, a Dataset or an Arrow table. They get ids unless they carry them."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """What a block made of some rows, and what it did on the way."""

    table: pa.Table
    """The output, with row ids."""
    parents: tuple[str, ...]
    """For each output row the id of the input row that it is made of."""
    parts: int
    """How many parts the block gives its rows in; the rows of each are in the order of the input."""
    rejects: tuple[Rejected, ...]
    """The rejected rows, in the order of the input."""
    counts: Counts
    requests: tuple[Request, ...]
    """What models were asked, in order."""
    warnings: tuple[str, ...]
    """What the block warned of."""
    logs: tuple[str, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The output rows, without ids."""
        rows: list[dict[str, Any]] = without_ids(self.table).to_pylist()
        return rows

    @property
    def ids(self) -> list[str]:
        """The ids of the output rows."""
        return ids_of(self.table)

    @property
    def columns(self) -> list[str]:
        """The columns of the output, without the one of the ids."""
        return [name for name in self.table.column_names if name != ROW_ID]

    @property
    def prompts(self) -> list[str]:
        """What models were asked, as texts."""
        return [prompt_of(request) for request in self.requests]


def run_block(block: Block, rows: Rows, replies: Script | Replies = (), *, shard_size: int | None = None) -> BlockResult:
    """Run a block on some rows, without Prefect, a server or a model.

    Args:
        block: The block.
        rows: Its input.
        replies: What the model says: a function of the prompt; a mapping of a part of the prompt to the reply; or a list of
            replies, one a call. A reply is a text, a list of texts for a call with several choices, a ``Completion`` or a
            ``Failure``.
        shard_size: Cut the rows into shards of this size, as a run does with a row-local block; None for one shard.

    Returns:
        The output rows in order, the rejected rows, the counts, and what was asked.

    Raises:
        ConservationError: The block lost or invented rows.
        NoReply: The block asked what the replies do not cover.
    """
    table = with_row_ids(rows)
    answering = replies if isinstance(replies, Replies) else Replies(replies)
    starts = range(0, table.num_rows, shard_size) if shard_size and block.own_scope() == "row" and table.num_rows else [0]
    shards = [table.slice(start, shard_size if len(starts) > 1 else None) for start in starts]
    contexts = [ScriptedContext(block, shard, answering) for shard in shards]
    done = [_run_shard(block, shard, context) for shard, context in zip(shards, contexts, strict=True)]
    parts = [part for same in zip(*(accounted.parts for accounted in done), strict=True) for part in same]
    parents = [parent for same in zip(*(_parents(accounted) for accounted in done), strict=True) for parent in chain(*same)]
    return BlockResult(
        table=concat(parts),
        parents=tuple(parents),
        parts=len(done[0].parts),
        rejects=tuple(context.rejects[row] for context in contexts for row in sorted(context.rejects)),
        counts=sum((accounted.counts + context.counts for accounted, context in zip(done, contexts, strict=True)), Counts()),
        requests=tuple(request for context in contexts for request in context.requests),
        warnings=tuple(line for context in contexts for line in context.warnings),
        logs=tuple(line for context in contexts for line in context.logs),
    )


def _parents(accounted: Accounted) -> list[tuple[str, ...]]:
    """Return the ids of the parents, by part."""
    parents = iter(accounted.parents.to_pylist())
    return [tuple(islice(parents, part.num_rows)) for part in accounted.parts]


def with_row_ids(rows: Rows) -> pa.Table:
    """Return rows as an Arrow table with ids."""
    import pyarrow as pa
    from datasets import Dataset

    if isinstance(rows, Dataset):
        table = to_table(rows).replace_schema_metadata(None)
    else:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist([dict(row) for row in rows])
    return table if ROW_ID in table.column_names else with_ids(table, seed_ids(table.to_pylist()))


def _run_shard(block: Block, table: pa.Table, context: ScriptedContext) -> Accounted:
    made = block.run(to_dataset(table), context)
    return account(
        table.column(ROW_ID),
        [to_table(part) for part in (made if isinstance(made, list) else [made])],
        [reject.row_id for reject in context.rejects.values()],
        name=block.block_name,
        type_name=block.type_name,
        leaves_out=block.leaves_out,
        makes_rows=block.makes_rows,
        log=context.log,
    )
