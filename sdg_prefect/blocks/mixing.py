"""Mix kinds of rows in given shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.columns import unquoted
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import did_you_mean
from sdg_prefect.rows import PART_ROWS, ROW_ID, to_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_SHOWN = 100
"""Kinds among which one looks for what the recipe may mean."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is kept of a kind."""

    name: str | bool | int | float
    fraction: float
    there: int
    rows: int

    @property
    def share(self) -> str:
        return f"{100 * self.fraction:.3g} %"


@block("MixRows")
class MixRows(Block):
    """Keep as many rows of each kind as a recipe says, drawn by chance, the same ones for the same rows.

    The kind is the value of a column. As many rows are kept in all as the scarcest kind allows, or ``total`` if that is fewer.
    Rows of a kind that the recipe does not name are left out, unless it has ``others``. The run warns where no row of a kind is
    left that it names.
    """

    family: ClassVar[str] = "Data for training"
    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"column": "source", "shares": {"chat": 2, "code": 1}},
        rows=[{"n": 1, "source": "chat"}, {"n": 2, "source": "code"}, {"n": 3, "source": "chat"}, {"n": 4, "source": "maths"}],
        output=[{"n": 1, "source": "chat"}, {"n": 2, "source": "code"}, {"n": 3, "source": "chat"}],
    )

    column: str = Field(min_length=1)
    """Column with the kind of a row."""
    shares: Mapping[str | bool | int | float, Annotated[float, Field(ge=0)]] = Field(min_length=1)
    """Kind to its share, in proportion to the others; ``others`` stands for every kind without a share of its own."""
    total: Annotated[int, Field(ge=1)] | None = None
    """Most rows in all."""

    def reads(self) -> Iterable[str]:
        return (self.column,)

    def doubts(self, before: Columns) -> Iterable[str]:
        return unquoted(self.shares, "shares")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Count the kinds, and draw as many rows of each as the recipe allows."""
        import numpy as np

        table = to_table(rows)
        names = [name for name, share in self.shares.items() if share > 0]
        kinds = self._kinds_of(table.column(self.column), names)
        counts = np.bincount(kinds[kinds >= 0], minlength=len(names))
        weights = np.array([self.shares[name] for name in names], float)
        fractions = weights / weights.sum()
        most = float((counts / fractions).min()) if names else 0.0
        whole = np.floor(fractions * min(most, self.total or most) + 1e-9).astype(int)
        ranks = self._ranks(table, context)
        kept = np.zeros(table.num_rows, bool)
        for number, count in enumerate(whole):
            places = (kinds == number).nonzero()[0]
            kept[places[np.argsort(ranks[places], kind="stable")[:count]]] = True
        told = [_Kept(*one) for one in zip(names, fractions, counts, whole, strict=True)]
        context.log(f"keeps {', '.join(f'{kind.rows} of {kind.there} {kind.name!r}' for kind in told)}")
        for warning in self._lacks(told, table.column(self.column)):
            context.warn(warning)
        return rows.select(kept.nonzero()[0])

    def _lacks(self, kept: Sequence[_Kept], column: pa.ChunkedArray) -> Iterator[str]:
        """Say of which kinds no row is kept, though the recipe wants some: no row is of them, or their share is too small."""
        missing = [kind for kind in kept if not kind.there]
        there = {str(value) for value in column.unique().to_pylist()[:_SHOWN] if value is not None} if missing else set()
        for kind in missing:
            lack = f"no row has {kind.name!r} in '{self.column}', of which the recipe wants {kind.share}"
            yield f"{lack}, so that none of any kind is kept. {did_you_mean(str(kind.name), there)}".rstrip()
        if not missing:
            yield from (
                f"no row of {kind.name!r} is kept: so few are kept in all that {kind.share} is less than one."
                for kind in kept
                if not kind.rows
            )

    def _kinds_of(self, column: pa.ChunkedArray, names: list[str | bool | int | float]) -> npt.NDArray[np.int32]:
        """Return for each row the number of its kind; -1 where the recipe has none for it."""
        import numpy as np

        known = {(type(name), name): number for number, name in enumerate(names)}
        other = known.get((str, "others"), -1)
        found = np.empty(len(column), np.int32)
        for start in range(0, len(column), PART_ROWS):
            values = column.slice(start, PART_ROWS).to_pylist()
            found[start : start + len(values)] = [
                known.get((type(value), value), other) if isinstance(value, (str, bool, int, float)) else other
                for value in values
            ]
        return found

    def _ranks(self, table: pa.Table, context: Context) -> npt.NDArray[np.float64]:
        """Draw a number for each row; those with the least are kept."""
        import numpy as np

        ids = table.column(ROW_ID)
        ranks = np.empty(len(ids))
        for start in range(0, len(ids), PART_ROWS):
            some = ids.slice(start, PART_ROWS).to_pylist()
            ranks[start : start + len(some)] = [context.random(row_id).random() for row_id in some]
        return ranks
