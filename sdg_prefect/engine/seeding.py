"""The seeds of a run: read before it begins, let go when they are in the store, and read again if they are damaged there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.shard import Shard, seed_shards
from sdg_prefect.errors import InputError, NoSeeds, StoreError
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import in_lap
from sdg_prefect.store.checkpoints import Checkpoint, keep_seeds
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa


def read_input(options: RunOptions, *, in_store: bool = True, warnings: list[str] | None = None) -> pa.Table:
    """Read the seeds that the options name; of those of an incremental run the new ones, of which there may be none.

    Args:
        options: What is asked for.
        in_store: True to put seeds that are many into a file of the store; False to write nothing there.
        warnings: Gets what the user should know of them.

    Raises:
        InputError: There are none, or they cannot be read.
    """
    from sdg_prefect.store.seeds import no_seeds, read_seeds, seeds_of

    if options.input is None:
        raise InputError("there are no seeds.", "Name them with --input FILE.")
    read = partial(read_seeds, pdf=options.pdf, warnings=warnings) if isinstance(options.input, str) else seeds_of
    folder = Root.chosen(options.storage).spill_folder if in_store else None
    if not options.may_lack_seeds:
        return read(options.input, options.limit, folder)
    from sdg_prefect.store.versions import Versions

    try:
        seeds = read(options.input, None, folder)
    except NoSeeds:
        return no_seeds()
    return Versions(str(options.output)).unseen(seeds, folder).slice(0, options.limit)


class Seeds:
    """The seeds of one run."""

    def __init__(self, table: pa.Table, options: RunOptions, doubts: Sequence[str] = ()) -> None:
        self.rows: int = table.num_rows
        self.source: str = options.input if isinstance(options.input, str) else f"{self.rows} rows in memory"
        self.doubts = doubts
        """What may be missing of the documents that they were read from."""
        self._options = options
        self._table: pa.Table | None = table

    def folder(self, size: int) -> str:
        """Return where in the store they are, cut into shards of a size."""
        return self._folder(self._table, size)

    def store(self, root: Root, folder: str, size: int, run_id: str) -> list[Shard]:
        """Put them into the store, unless they are there, and return their shards. From then on they are only there."""
        table, self._table = self._table, None
        kept = keep_seeds(root, folder, lambda: _cut(table, size), run_id)

        def read_again() -> list[pa.Table]:
            found = read_input(self._options)
            if self._folder(found, size) != folder:
                message = f"{root.url(folder)} is damaged, and the seeds are not those any more that the run began with."
                raise StoreError(message, "The same command begins with the seeds as they are now.")
            return _cut(found, size)

        return seed_shards(kept, partial(asyncio.to_thread, keep_seeds, root, folder, read_again, run_id, is_suspect=True))

    def store_candidates(self, root: Root, start: int, count: int, size: int, run_id: str) -> tuple[str, list[Shard]]:
        """Put some of the candidates into the store, unless they are there, and return where, and their shards.

        Args:
            root: The store.
            start: How many candidates there were before.
            count: How many are wanted.
            size: Rows of each shard.
            run_id: The run.
        """
        assert self._table is not None
        table = candidates(self._table, start, count)
        folder = self._folder(table, size)
        kept = keep_seeds(root, folder, lambda: _cut(table, size), run_id)

        def again() -> Awaitable[Checkpoint]:
            return asyncio.to_thread(keep_seeds, root, folder, lambda: _cut(table, size), run_id, is_suspect=True)

        return folder, seed_shards(kept, again)

    def _folder(self, table: pa.Table, size: int) -> str:
        return f"inputs/{fingerprint(table)}-{size}"


def candidates(seeds: pa.Table, start: int, count: int) -> pa.Table:
    """Return some of the candidates for rows: the seeds, then the seeds again with other ids, and so on without an end.

    Args:
        seeds: The seeds.
        start: How many candidates come before.
        count: How many are wanted.
    """
    import pyarrow as pa

    taken = []
    while count and seeds.num_rows:
        lap, place = divmod(start, seeds.num_rows)
        piece = in_lap(seeds.slice(place, count), lap)
        taken.append(piece)
        start, count = start + piece.num_rows, count - piece.num_rows
    return pa.concat_tables(taken) if taken else seeds.slice(0, 0)


def _cut(table: pa.Table, size: int) -> list[pa.Table]:
    return [table.slice(start, length) for start, length in cut(table.num_rows, size)]
