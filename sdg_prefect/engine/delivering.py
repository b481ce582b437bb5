"""The end of a run: its rows go where the user wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sdg_prefect.engine.shard import Shard
from sdg_prefect.rows import with_rows
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.output import unified_schema, write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shards
from sdg_prefect.store.versions import Made, Version, Versions

if TYPE_CHECKING:
    import pyarrow as pa


class Target(Protocol):
    """Where the rows of a run go."""

    @property
    def version(self) -> Mapping[str, Any] | None:
        """What the report says of the version that was added; None where there are none, or none yet."""

    def write(self, run_id: str, tables: Sequence[pa.Table], schema: pa.Schema, rejects: Sequence[Reject]) -> None:
        """Write the rows.

        Args:
            run_id: The run.
            tables: The rows with their ids, in order.
            schema: Their columns.
            rejects: The rows that were rejected.
        """


@dataclass(frozen=True, slots=True)
class Replaced:
    """An output that holds the rows of one run."""

    place: str | None
    """None to write nothing."""
    keep_ids: bool
    version: None = None

    def write(self, run_id: str, tables: Sequence[pa.Table], schema: pa.Schema, rejects: Sequence[Reject]) -> None:
        """Write the rows in place of those that are there."""
        if self.place is not None:
            write_output(self.place, iter(tables), schema, self.keep_ids)


@dataclass(slots=True)
class Grown:
    """An output that grows from run to run."""

    versions: Versions
    before: Sequence[Version]
    """Those that there were when the run looked for its seeds."""
    seeds: pa.ChunkedArray
    """The ids of the run's seeds."""
    flow: str
    key: str
    is_whole: bool
    keep_ids: bool
    version: Mapping[str, Any] | None = field(default=None, init=False)

    def write(self, run_id: str, tables: Sequence[pa.Table], schema: pa.Schema, rejects: Sequence[Reject]) -> None:
        """Add the rows as the next version. A seed that was rejected stays new: the next run tries it again."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rejected = pa.array([reject.row_id for reject in rejects], pa.string())
        done = self.seeds.filter(pc.invert(pc.is_in(self.seeds, value_set=rejected)))
        if not len(done) and not self.is_whole:
            return
        made = Made(run_id, self.flow, self.key, done, tables, schema)
        added = self.versions.add(made, after=self.before, is_whole=self.is_whole, keep_ids=self.keep_ids)
        self.version = told(self.versions.now(), added)


def told(versions: Sequence[Version], added: Version | None = None) -> Mapping[str, Any] | None:
    """Return what a report says of the newest of some versions.

    Args:
        versions: Those whose rows the output holds.
        added: The one that the run added.
    """
    if not versions:
        return None
    return {
        "number": (added or versions[-1]).number,
        "rows": sum(version.rows for version in versions),
        "seeds": sum(version.seeds for version in versions),
        "rows_added": added.rows if added else 0,
        "seeds_added": added.seeds if added else 0,
    }


def deliver(
    root: Root, shards: Sequence[Shard], columns: Sequence[str] | None, target: Target, run_id: str, rejects: Sequence[Reject]
) -> list[pa.Table]:
    """Write the rows of shards to the output, in the order of the seeds, and return them.

    Args:
        root: The store.
        shards: In their order.
        columns: Those that are wanted; None for all.
        target: Where to.
        run_id: The run.
        rejects: The rows that were rejected.
    """
    tables = with_rows(read_shards(root, [shard.ref for shard in shards]))
    schema = unified_schema([table.schema for table in tables])
    if columns is not None:
        names = [schema.names[0], *(name for name in columns if name in schema.names)]
        tables = [table.select([name for name in names if name in table.column_names]) for table in tables]
        schema = unified_schema([table.schema for table in tables])
    target.write(run_id, tables, schema, rejects)
    return tables
