"""The end of a run: its rows go where the user wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from sdg_prefect.engine.shard import Shard
from sdg_prefect.report.profile import Profile, profile_of
from sdg_prefect.rows import concat, with_rows
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.output import unified_schema, write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import write_quarantine
from sdg_prefect.store.shards import DatasetRef, read_shards
from sdg_prefect.store.versions import Made, Version, Versions

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.report.verdicts import Mask


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


@dataclass(frozen=True, slots=True)
class Delivery:
    """The rows of a finished run."""

    tables: list[pa.Table]
    """The rows of the output."""
    refs: tuple[DatasetRef, ...] = ()
    """Where they are in the store, with those that were kept apart."""
    profile: Profile = field(default_factory=Profile)
    """Of the rows of the output."""
    quarantined: int = 0
    """Rows that were kept apart."""
    is_written: bool = True
    """False if the output stays as it was, since all rows were kept apart."""


def gather(root: Root, shards: Sequence[Shard], columns: Sequence[str] | None, most: int | None = None) -> list[pa.Table]:
    """Return the rows of shards, in the order of the seeds.

    Args:
        root: The store.
        shards: In their order.
        columns: Those that are wanted; None for all.
        most: How many rows are wanted, from the first on; None for all.
    """
    tables = with_rows(read_shards(root, [shard.ref for shard in shards]))
    if most is not None:
        before = accumulate((table.num_rows for table in tables), initial=0)
        tables = with_rows([table.slice(0, max(0, most - start)) for table, start in zip(tables, before, strict=False)])
    if columns is None:
        return tables
    schema = unified_schema([table.schema for table in tables])
    names = [schema.names[0], *(name for name in columns if name in schema.names)]
    return [table.select([name for name in names if name in table.column_names]) for table in tables]


def deliver(
    root: Root, run_id: str, tables: list[pa.Table], apart: Sequence[Mask] | None, target: Target, rejects: Sequence[Reject]
) -> Delivery:
    """Write rows to the output, and those that are kept apart to the folder of the run.

    Args:
        root: The store.
        run_id: The run.
        tables: The rows.
        apart: Which of each table are kept apart; None for none. If they are all, the output stays as it is.
        target: Where the others go.
        rejects: The rows that were rejected.
    """
    quarantined = 0
    if apart is not None:
        kept_apart = [table.filter(mask) for table, mask in zip(tables, apart, strict=True)]
        quarantined = sum(table.num_rows for table in kept_apart)
        write_quarantine(root, run_id, concat(kept_apart))
        tables = [table.filter(~mask) for table, mask in zip(tables, apart, strict=True)]
    is_written = not quarantined or any(table.num_rows for table in tables)
    if is_written:
        target.write(run_id, tables, unified_schema([table.schema for table in tables]), rejects)
    return Delivery(tables, profile=profile_of(tables), quarantined=quarantined, is_written=is_written)
