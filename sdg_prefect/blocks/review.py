"""A gate in a flow: a person looks at the rows and decides what becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.conditions import as_condition, condition_names, judge
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import did_you_mean
from sdg_prefect.frozen import Frozen
from sdg_prefect.rows import ROW_ID, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_SHOWN_IDS = 3


class Decision(Frozen):
    """What a person decided about the rows of a review."""

    decision: Literal["approve", "drop", "stop"]
    """``approve``: all rows go on. ``drop``: all but those that are named. ``stop``: the run ends here."""
    drop_rows: tuple[str, ...] = ()
    """Ids of the rows to drop."""
    drop_where: str = ""
    """Condition on the rows to drop, in the language of prompts: ``score|float < 3 or 'http' in answer``."""
    note: str = ""
    """Why, for the report."""
    by: str = ""
    """Where the decision came from."""

    def __str__(self) -> str:
        ids = f"{len(self.drop_rows)} row{'s' * (len(self.drop_rows) != 1)} by id" if self.drop_rows else ""
        which = " and ".join(part for part in (ids, f"where {self.drop_where}" if self.drop_where else "") if part)
        return f"{self.decision}{f' {which}' if which else ''}{f' ({self.note})' if self.note else ''}"

    def problems(self, columns: Iterable[str]) -> list[str]:
        """Say what is wrong with the decision, whatever the rows.

        Args:
            columns: Those of the rows.
        """
        names = bool(self.drop_rows or self.drop_where.strip())
        if self.decision == "drop" and not names:
            return ["'drop' needs the ids of rows in 'drop_rows' or a condition in 'drop_where'."]
        if self.decision != "drop" and names:
            return [f"rows are named to be dropped, and the decision is '{self.decision}'; choose 'drop'."]
        if not self.drop_where.strip():
            return []
        try:
            unknown = sorted(condition_names(as_condition(self.drop_where)).needed - set(columns))
        except ValueError as problem:
            return [f"'drop_where': {problem}"]
        return [f"'drop_where': the rows have no column '{name}'. {did_you_mean(name, columns)}".strip() for name in unknown]


@block("ReviewBlock")
class ReviewBlock(Block):
    """Wait for a person: the run pauses, shows some of the rows, and goes on when they are approved or some of them dropped."""

    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    family: ClassVar[str] = "Keep or leave out rows"
    example: ClassVar[Example] = Example(
        config={"question": "Is any of them rude?", "show": ["answer"], "sample": 5},
        rows=[{"answer": "Bees dance."}],
        output=[{"answer": "Bees dance."}],
    )

    question: str = ""
    """What the person is asked to look for."""
    show: tuple[str, ...] = ()
    """Columns to show; all if not given."""
    sample: int = Field(default=20, ge=1, le=200)
    """How many rows to show, spread evenly over all."""

    _decision: Decision | None = PrivateAttr(default=None)

    def reads(self) -> Iterable[str]:
        return self.show

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        """How much is shown does not decide what becomes of the rows."""
        return {name: part for name, part in super().key_parts(models).items() if name not in ("show", "sample")}

    def decided(self, decision: Decision) -> Self:
        """Return the block with a decision on the rows that it will get."""
        made = self.model_copy()
        made._decision = decision
        return made

    def shown(self, table: pa.Table) -> list[dict[str, Any]]:
        """Return the rows to show, with their ids."""
        import pyarrow as pa

        count = min(self.sample, table.num_rows)
        places = [place * table.num_rows // count for place in range(count)]
        names = self.show or tuple(name for name in table.column_names if name != ROW_ID)
        rows = table.select([ROW_ID, *names]).take(pa.array(places, pa.int64())).to_pylist()
        return [{"row id": row.pop(ROW_ID), **row} for row in rows]

    def problems(self, decision: Decision, table: pa.Table) -> list[str]:
        """Say what is wrong with a decision on rows.

        Args:
            decision: The decision.
            table: All rows, with their ids.
        """
        found = decision.problems(table.column_names)
        if found or decision.decision != "drop":
            return found
        unknown = sorted(set(decision.drop_rows) - set(table.column(ROW_ID).to_pylist()))
        if unknown:
            more = f" and {len(unknown) - _SHOWN_IDS} more" if len(unknown) > _SHOWN_IDS else ""
            return [f"no row has the id {', '.join(unknown[:_SHOWN_IDS])}{more}."]
        failures = judge(as_condition(decision.drop_where), table).failures if decision.drop_where.strip() else {}
        return [f"'drop_where': {why}" for why in list(failures.values())[:1]]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Let the rows pass, but for those that are dropped. Where nobody was asked, as in a preview, all pass."""
        if self._decision is None or self._decision.decision != "drop":
            return rows
        table = to_table(rows)
        ids = set(self._decision.drop_rows)
        dropped = {place for place, row_id in enumerate(table.column(ROW_ID).to_pylist()) if row_id in ids}
        if self._decision.drop_where.strip():
            dropped |= set(judge(as_condition(self._decision.drop_where), table).holds.nonzero()[0].tolist())
        return rows.select([place for place in range(len(rows)) if place not in dropped])
