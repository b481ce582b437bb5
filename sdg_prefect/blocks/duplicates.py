"""Leave out rows that repeat earlier ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.registry import block
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("DropDuplicates")
class DropDuplicates(Block):
    """Keep the first of the rows that are equal in some columns; the item key ``drop_duplicates`` does the same after a block."""

    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["deduplicated"]] = "deduplicated"

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns in which rows have to differ."""

    def reads(self) -> Iterable[str]:
        return self.columns

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Keep the first of each; lists and mappings compare by content, null equals null and NaN equals NaN."""
        import pyarrow as pa

        table = to_table(rows)
        seen: set[Any] = set()
        kept = []
        lists = [[_hashable(value) for value in table.column(name).to_pylist()] for name in self.columns]
        for row, values in enumerate(zip(*lists, strict=True)):
            if values not in seen:
                seen.add(values)
                kept.append(row)
        return to_dataset(table.take(pa.array(kept, pa.int64())))


def _hashable(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return canonical(value)
    return "NaN" if isinstance(value, float) and math.isnan(value) else value
