"""A block that works on some of the rows it is given: those for which its condition holds. The others pass by in their places."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from sdg_prefect.accounting import Accounted
from sdg_prefect.blocks.conditions import judge
from sdg_prefect.blocks.context import Context
from sdg_prefect.blocks.lanes import CONDITION_FAILED
from sdg_prefect.counts import Counts
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import PART_ROWS, ROW_ID, to_dataset, to_table
from sdg_prefect.spill import spilled
from sdg_prefect.store.columns import conformed, unified_schema

if TYPE_CHECKING:
    import pyarrow as pa

Places = npt.NDArray[np.int64]


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


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The context of a block that is shown some rows only: a row that it rejects is the one at that place among all."""

    whole: CountingContext
    places: Places

    @property
    def rejects(self) -> Mapping[int, HasRowId]:
        return {row: self.whole.rejects[row] for row in self.places.tolist() if row in self.whole.rejects}

    @property
    def counts(self) -> Counts:
        return self.whole.counts

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        return self.whole.complete(requests)

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        self.whole.reject(int(self.places[row]), error, message, raw=raw, attempts=attempts, transient=transient)

    def note_unparsed(self, choices: int = 1) -> None:
        self.whole.note_unparsed(choices)

    def random(self, row_id: str) -> random.Random:
        return self.whole.random(row_id)

    def warn(self, message: str) -> None:
        self.whole.warn(message)

    def log(self, message: str) -> None:
        self.whole.log(message)


def where(
    condition: str,
    table: pa.Table,
    context: CountingContext,
    run: Callable[[pa.Table, CountingContext], Accounted],
    spill_folder: str | None = None,
) -> tuple[list[pa.Table], Counts]:
    """Run a block on the rows for which a condition holds, and put the others in between where they stood.

    Args:
        condition: Asked of each row; a row of which it can say nothing is rejected.
        table: The rows, with their ids.
        context: The block's context on all of them.
        run: The block at work on some rows.
        spill_folder: Where rows go that are too many for memory; see ``Spill``.

    Returns:
        The parts of the output. Rows that pass by are in the first and have nulls in what the block adds. And the counts of rows.

    Raises:
        StoreError: The block gives a column another type than it has in the rows that pass by.
    """
    verdicts = judge(condition, table)
    passing = ~verdicts.holds
    for place, message in verdicts.failures.items():
        context.reject(place, CONDITION_FAILED, message)
        passing[place] = False
    chosen, others = np.flatnonzero(verdicts.holds), np.flatnonzero(passing)
    mine = _selected(table, chosen, spill_folder)
    accounted = run(mine, _Chosen(context, chosen))
    schema = unified_schema([table.schema, *(part.schema for part in accounted.parts)])
    first, *more = [conformed(part, schema) for part in accounted.parts]
    places = chosen[lineage(mine.column(ROW_ID), accounted.parents.slice(0, first.num_rows))]
    rest = conformed(_selected(table, others, spill_folder), schema)
    merged = pa_concat(spilled(_in_order(first, places, rest, others, table.num_rows), spill_folder))
    passed, failed = len(others), len(verdicts.failures)
    counts = Counts(rows_in=passed + failed, rows_out=passed, gave_rows=passed, skipped=passed, rejected=failed)
    return [merged, *more], accounted.counts + counts


def lineage(ids: pa.ChunkedArray, parents: pa.ChunkedArray) -> Places:
    """Return for each output row the place of the row that it is made of."""
    import pyarrow.compute as pc

    if parents.equals(ids):
        return np.arange(len(ids))
    found: Places = pc.index_in(parents, value_set=ids.combine_chunks()).to_numpy().astype(np.int64)
    return found


def _selected(table: pa.Table, places: Places, spill_folder: str | None) -> pa.Table:
    return to_table(to_dataset(table).select(places), spill_folder)


def _in_order(mine: pa.Table, places: Places, others: pa.Table, other_places: Places, rows: int) -> Iterator[pa.Table]:
    """Give the rows of two tables by their places, part by part."""
    import pyarrow as pa

    if (places[1:] < places[:-1]).any():
        order = np.argsort(places, kind="stable")
        mine, places = mine.take(pa.array(order)), places[order]
    for start in range(0, max(rows, 1), PART_ROWS):
        bounds = [start, start + PART_ROWS]
        one, other = slice(*np.searchsorted(places, bounds)), slice(*np.searchsorted(other_places, bounds))
        both = pa.concat_tables(
            [mine.slice(one.start, one.stop - one.start), others.slice(other.start, other.stop - other.start)]
        )
        order = np.argsort(np.concatenate([places[one], other_places[other]]), kind="stable")
        yield both.take(pa.array(order))


def pa_concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Put tables of one schema one after another."""
    import pyarrow as pa

    return pa.concat_tables(tables)
