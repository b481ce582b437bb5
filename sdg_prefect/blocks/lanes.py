"""The steps that a plan puts around branches and rounds: rows part into lanes, and come together again in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from sdg_prefect.blocks.base import Block, Columns, Need, needs_of
from sdg_prefect.blocks.conditions import Condition, condition_names, judge
from sdg_prefect.rows import PART_ROWS, is_reserved, set_column, to_dataset, to_table
from sdg_prefect.spill import spilled

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

CONDITION_FAILED = "ConditionFailed"
"""Why a row is rejected of which a condition can say nothing."""


def names_needed(conditions: Iterable[str]) -> Iterator[Need]:
    """Name the columns that conditions look at."""
    for condition in conditions:
        yield from needs_of(condition_names(condition))


class LaneBlock(Block):
    """A step that sees where each row stood when its rows parted."""

    place: str
    """The reserved column that says so."""


class Split(LaneBlock):
    """Part rows into lanes: one for each condition, for the rows for which it is the first to hold, and one for all others."""

    type_name: ClassVar[str] = "Split"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"

    conditions: tuple[Condition, ...]
    """What the rows of each lane are, in order."""
    rest: Literal["pass", "reject", "filter"] = "pass"
    """What becomes of the others."""

    def reads(self) -> Iterable[Need]:
        return names_needed(self.conditions)

    def columns_after(self, before: Columns) -> Columns:
        return before.plus([self.place])

    def run(self, rows: Dataset, context: Context) -> list[Dataset]:
        """Give the lanes; the last one holds the rows that no condition takes."""
        import numpy as np

        table = to_table(rows)
        if self.place not in table.column_names:
            table = set_column(table, self.place, np.arange(table.num_rows))
        left = np.ones(table.num_rows, np.bool_)
        lanes = []
        for condition in self.conditions:
            verdicts = judge(condition, table)
            for row in verdicts.failures:
                if left[row]:
                    context.reject(row, CONDITION_FAILED, verdicts.failures[row])
                    left[row] = False
            lanes.append(left & verdicts.holds)
            left &= ~verdicts.holds
        if self.rest == "reject":
            for row in np.flatnonzero(left).tolist():
                context.reject(row, "NoBranch", "no branch takes this row.")
        lanes.append(left & (self.rest == "pass"))
        numbered = to_dataset(table)
        return [numbered.select(np.flatnonzero(lane)) for lane in lanes]


class Join(LaneBlock):
    """Bring the rows of all lanes together in the order in which they stood."""

    type_name: ClassVar[str] = "Join"

    columns: tuple[str, ...] = ()
    """Columns that the rows have afterwards, whichever lanes they took."""
    is_open: bool = False
    """True where there may be more columns than these."""

    def columns_after(self, before: Columns) -> Columns:
        mine = [name for name in before.names if name != self.place]
        others = self.columns if self.is_open else [name for name in mine if name not in self.columns]
        first = mine if self.is_open else self.columns
        return Columns(tuple(dict.fromkeys((*first, *others))), before.open)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Sort by the place; the rows that came of one stay in their order."""
        import numpy as np
        import pyarrow as pa

        table = to_table(rows)
        order = np.argsort(table.column(self.place).to_numpy(), kind="stable")
        for name in self.columns:
            if name not in table.column_names:
                table = table.append_column(name, pa.nulls(table.num_rows))
        hidden = [name for name in table.column_names if is_reserved(name)]
        seen = Columns(tuple(name for name in table.column_names if name not in hidden))
        kept = [name for name in hidden if name != self.place]
        sorted_rows = table.select([*kept, *self.columns_after(seen).names])
        starts = range(0, max(1, len(order)), PART_ROWS)
        parts = spilled(sorted_rows.take(pa.array(order[start : start + PART_ROWS])) for start in starts)
        return to_dataset(pa.concat_tables(parts))


class Unmet(Block):
    """See to the rows for which a repetition ends without its condition."""

    type_name: ClassVar[str] = "Unmet"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"

    until: Condition
    """The condition."""
    unmet: Literal["reject", "filter"]
    """What becomes of rows for which it does not hold."""
    rounds: int
    """How many rounds there were, for the message."""

    def reads(self) -> Iterable[Need]:
        return names_needed([self.until])

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Keep the rows for which it holds."""
        import numpy as np

        verdicts = judge(self.until, to_table(rows))
        for row in np.flatnonzero(~verdicts.holds).tolist():
            if row in verdicts.failures:
                context.reject(row, CONDITION_FAILED, verdicts.failures[row])
            elif self.unmet == "reject":
                times = f"{self.rounds} round{'s' * (self.rounds != 1)}"
                context.reject(row, "Unmet", f"'{self.until}' does not hold after {times}.")
        return rows.select(np.flatnonzero(verdicts.holds))
