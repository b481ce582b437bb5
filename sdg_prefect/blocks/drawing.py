"""More rows, and values drawn for each of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, log
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, OneName, WiredBlock
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("RowMultiplierBlock")
class RowMultiplierBlock(WiredBlock):
    """Repeat each row a number of times; the copies stand together, unless the rows are shuffled.

    Each copy is a row of its own, for which a model is asked anew. To be shuffled all rows have to be there.
    """

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"num_samples": 2},
        rows=[{"text": "Bees dance."}],
        output=[{"text": "Bees dance."}, {"text": "Bees dance."}],
    )

    num_samples: int = Field(ge=1)
    """How often each row comes."""
    shuffle: bool = False
    """Mixes the rows."""
    random_seed: int | None = Field(default=None, ge=0, lt=2**32)
    """Another seed gives another order; the same seed gives the order that sdg_hub gives."""
    input_cols: Names = ()
    """Without effect: whole rows are repeated."""
    output_cols: Names = ()
    """Without effect: no column is made."""

    def rows_per_row(self) -> tuple[int, int | None]:
        return self.num_samples, self.num_samples

    def own_scope(self) -> Literal["row", "all"]:
        return "all" if self.shuffle else "row"

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Repeat."""
        import numpy as np

        table = to_table(rows)
        places = np.arange(table.num_rows).repeat(self.num_samples)
        if self.shuffle:
            seed = context.random("").getrandbits(32) if self.random_seed is None else self.random_seed
            # The generator and the call are those of pandas' DataFrame.sample, so that seeds mean the same order.
            places = places[np.random.RandomState(seed).choice(len(places), size=len(places), replace=False)]
        return to_dataset(table.take(places))


@block("SamplerBlock")
class SamplerBlock(WiredBlock):
    """Draw values from the list in each row, none of them twice; from a mapping of value to weight, the heavy ones more often.

    What a row draws depends on the block and on the row alone, so it is the same in every run and for any size of shards. A row
    whose value is neither a list nor a mapping, or that has a negative weight, is rejected.
    """

    family: ClassVar[str] = "Sample and compute values"
    example: ClassVar[Example] = Example(
        config={"input_cols": "topics", "output_cols": "topic", "num_samples": 1, "return_scalar": True},
        rows=[{"topics": ["bees", "cows", "trains"]}],
        output=[{"topics": ["bees", "cows", "trains"], "topic": "bees"}],
    )

    input_cols: OneName
    """The column of lists, or of mappings of value to weight."""
    output_cols: OneName
    """The one column that gets the drawn values."""
    num_samples: int = Field(default=5, ge=1)
    """How many values are drawn; all of a shorter list."""
    random_seed: int | None = None
    """Another seed draws other values."""
    return_scalar: bool = False
    """With ``num_samples: 1`` gives the value itself, not a list with it; null where there is none."""

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Draw."""
        import pyarrow as pa

        table = to_table(rows)
        column = table.column(self.input_cols[0])
        kept, drawn = [], []
        for place, (row_id, pool) in enumerate(zip(ids_of(table), column.to_pylist(), strict=True)):
            try:
                values = self._draw(_weighted(pool), context.random(row_id))
            except ValueError as error:
                context.reject(place, "BadPool", f"column '{self.input_cols[0]}' {error}.")
            else:
                kept.append(place)
                drawn.append((values[0] if values else None) if self._is_scalar else values)
        kind = _value_type(column.type)
        made = pa.array(drawn, kind if self._is_scalar else pa.list_(kind))
        return to_dataset(set_column(table.take(pa.array(kept, pa.int64())), self.output_cols[0], made))

    @property
    def _is_scalar(self) -> bool:
        return self.return_scalar and self.num_samples == 1

    def _draw(self, pool: Sequence[tuple[Any, float]], chance: random.Random) -> list[Any]:
        """Draw without putting back: the values with the largest ``log(u) / weight`` (Efraimidis and Spirakis, 2006)."""
        keyed = [(log(1 - chance.random()) / weight, place) for place, (_, weight) in enumerate(pool)]
        return [pool[place][0] for _, place in sorted(keyed, reverse=True)[: self.num_samples]]


def _weighted(pool: Any) -> list[tuple[Any, float]]:
    """Return the values that can be drawn, with their weights.

    Raises:
        ValueError: It is no pool; the message goes on after the column's name.
    """
    if pool is None:
        return []
    if isinstance(pool, Mapping):
        # In a column of mappings every row has all keys; those that its own mapping lacks are null.
        weights = [(value, weight) for value, weight in pool.items() if weight is not None]
        if not all(isinstance(weight, (int, float)) and isfinite(weight) and weight >= 0 for _, weight in weights):
            raise ValueError("holds a weight that is not a number from 0 up")
        return [(value, float(weight)) for value, weight in weights if weight > 0]
    if not isinstance(pool, list):
        raise ValueError("holds neither a list nor a mapping here")  # noqa: TRY004 - it is about a row
    return [(value, 1.0) for value in pool]


def _value_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of what is drawn from a column."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return kind.value_type
    return pa.null() if pa.types.is_null(kind) else pa.string()
