"""The end of a run: its rows go where the user wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sdg_prefect.engine.shard import Shard
from sdg_prefect.rows import with_rows
from sdg_prefect.store.output import unified_schema, write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shards

if TYPE_CHECKING:
    import pyarrow as pa


def deliver(
    root: Root, shards: Sequence[Shard], columns: Sequence[str] | None, output: str | None, *, keep_ids: bool
) -> list[pa.Table]:
    """Write the rows of shards to the output, in the order of the seeds, and return them.

    Args:
        root: The store.
        shards: In their order.
        columns: Those that are wanted; None for all.
        output: Where to; None to write nothing.
        keep_ids: True to write the row ids too.
    """
    tables = with_rows(read_shards(root, [shard.ref for shard in shards]))
    schema = unified_schema([table.schema for table in tables])
    if columns is not None:
        names = [schema.names[0], *(name for name in columns if name in schema.names)]
        tables = [table.select([name for name in names if name in table.column_names]) for table in tables]
        schema = unified_schema([table.schema for table in tables])
    if output is not None:
        write_output(output, iter(tables), schema, keep_ids=keep_ids)
    return tables
