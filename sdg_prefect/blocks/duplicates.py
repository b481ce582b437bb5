"""Leave out rows that repeat earlier ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.repeats import digests_of, equal_before
from sdg_prefect.rows import PART_ROWS, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_DIGEST_BYTES = 16


@block("DropDuplicates")
class DropDuplicates(Block):
    """Keep the first of the rows that are equal in some columns; the item key ``drop_duplicates`` does the same after a block."""

    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["deduplicated"]] = "deduplicated"
    family: ClassVar[str] = "Duplicates and overlaps"
    example: ClassVar[Example] = Example(
        config={"columns": ["question"]},
        rows=[{"question": "Why?", "answer": "Because."}, {"question": "Why?", "answer": "Who knows."}],
        output=[{"question": "Why?", "answer": "Because."}],
    )

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns in which rows have to differ."""

    def reads(self) -> Iterable[str]:
        return self.columns

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Keep the first of each; lists and mappings compare by content, null equals null and NaN equals NaN."""
        digests = bytearray()
        for batch in to_table(rows).select(self.columns).to_batches(max_chunksize=PART_ROWS):
            digests += digests_of(map(_compared, batch.to_pylist()), _DIGEST_BYTES)
        return rows.select((equal_before(digests, _DIGEST_BYTES) == 0).nonzero()[0])


def _compared(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in which values that are equal are written alike: 0.0 and -0.0 are."""
    return {name: value + 0.0 if isinstance(value, float) else value for name, value in row.items()}
