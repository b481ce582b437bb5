"""The rows that are published: those of a run's output or of a file, each with what it must not be parted from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import FlowError
from sdg_prefect.report.described import steps_of
from sdg_prefect.report.profile import row_hashes
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.lineage import seeds_of_output
from sdg_prefect.store.publishing import grouping_columns
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import QUARANTINE_FILE
from sdg_prefect.store.shards import read_shards
from sdg_prefect.store.trail import read_trail

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in tables, and for each row a hash of its group."""

    tables: list[pa.Table]
    groups: list[npt.NDArray[np.uint64]]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(table.num_rows for table in self.tables)


def rows_of_run(root: Root, run_id: str, manifest: Mapping[str, Any], group_by: Sequence[str] = ()) -> Rows:
    """Read the rows of a run's output; those that were kept apart are left out.

    Rows belong together if they come of one seed, or of seeds of equal content, or are equal in some columns.

    Args:
        root: The store.
        run_id: The run.
        manifest: Its manifest.
        group_by: The columns by which rows belong together; by their seeds if not given.

    Raises:
        FlowError: The run has no output, or a column is not there.
        StoreError: The rows are not in the store any more.
    """
    import numpy as np

    trail = read_trail(root, run_id)
    if not trail.output:
        raise FlowError(f"run {run_id} has no output: it {str(manifest['status']).replace('_', ' ')}.")
    tables = read_shards(root, [trail.ref(given) for given in trail.output])
    if group_by:
        grouping_columns(group_by, tables[0].column_names)
        groups = [row_hashes(table, group_by) for table in tables]
    else:
        seeds = read_shards(root, [trail.shards[shard] for shard in trail.seeds])
        hashes = np.concatenate([row_hashes(table) for table in seeds])
        makers = {label: str(step["type"]) for label, step in steps_of(manifest["flow"]).items()}
        groups = [hashes[np.array(numbers, np.int64)] for numbers in seeds_of_output(root, trail, makers)]
    wanted = manifest["flow"]["output_columns"]
    if wanted is not None:
        tables = [table.select([ROW_ID, *(name for name in wanted if name in table.column_names)]) for table in tables]
    return _without(Rows(tables, groups), _quarantined(root, run_id))


def rows_of_file(source: str, group_by: Sequence[str] = ()) -> Rows:
    """Read the rows of a file, or what else ``--input`` takes; rows belong together if they are equal in some columns, or in all.

    Raises:
        InputError: It cannot be read.
        FlowError: A column is not there.
    """
    from sdg_prefect.store.seeds import read_seeds

    table = read_seeds(source)
    grouping_columns(group_by, table.column_names)
    return Rows([table], [row_hashes(table, group_by)])


def _quarantined(root: Root, run_id: str) -> set[str]:
    import pyarrow.parquet as pq

    if not root.exists("runs", run_id, QUARANTINE_FILE):
        return set()
    table = pq.read_table(io.BytesIO(root.read("runs", run_id, QUARANTINE_FILE)), columns=[ROW_ID])
    return set(table.column(ROW_ID).to_pylist())


def _without(rows: Rows, ids: set[str]) -> Rows:
    import numpy as np

    if not ids:
        return rows
    kept = [np.array([row_id not in ids for row_id in table.column(ROW_ID).to_pylist()], np.bool_) for table in rows.tables]
    return Rows(
        [table.filter(mask) for table, mask in zip(rows.tables, kept, strict=True)],
        [groups[mask] for groups, mask in zip(rows.groups, kept, strict=True)],
    )
