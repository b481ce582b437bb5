"""The two ends of a run: its seeds go into the store, its rows go where the user wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from sdg_prefect.engine.shard import Shard, seed_shards
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import fingerprint, with_rows
from sdg_prefect.store.checkpoints import keep_seeds
from sdg_prefect.store.output import unified_schema, write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shards

if TYPE_CHECKING:
    import pyarrow as pa


def seeds_folder(seeds: pa.Table, size: int) -> str:
    """Return where in the store seeds are, cut into shards of a size."""
    return f"inputs/{fingerprint(seeds)}-{size}"


def store_seeds(root: Root, folder: str, seeds: pa.Table, size: int, run_id: str) -> list[Shard]:
    """Put seeds into the store, unless they are there, and return their shards."""
    parts = [seeds.slice(start, length) for start, length in cut(seeds.num_rows, size)]
    kept = keep_seeds(root, folder, parts, run_id)
    return seed_shards(kept, partial(asyncio.to_thread, keep_seeds, root, folder, parts, run_id, is_suspect=True))


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
