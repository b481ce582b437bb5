"""Leave out rows whose text is nearly that of an earlier one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.minhash import NearRepeats, Pieces
from sdg_prefect.blocks.registry import block
from sdg_prefect.rows import PART_ROWS, to_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("DropNearDuplicates")
class DropNearDuplicates(Block):
    """Keep the first of texts that are nearly equal: that have most of their runs of letters or words in common.

    Case, punctuation and space are no matter. Candidates are found by MinHash and banding (Broder, 1997; Leskovec, Rajaraman and
    Ullman, "Mining of Massive Datasets", chapter 3), then compared exactly, so that what is left out is as similar as asked for,
    and about one in 500 such pairs is missed. Texts that a chain of near duplicates links count as one group. It needs the extra
    ``dedup``.
    """

    family: ClassVar[str] = "Duplicates and overlaps"
    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["deduplicated"]] = "deduplicated"
    example: ClassVar[Example] = Example(
        config={"columns": ["question"], "similarity": 0.7},
        rows=[
            {"question": "Why do the bees dance in their hive?"},
            {"question": "Why do the bees dance in the hive?"},
            {"question": "How much honey does a bee make?"},
        ],
        output=[{"question": "Why do the bees dance in their hive?"}, {"question": "How much honey does a bee make?"}],
    )

    packages: ClassVar[Mapping[str, str]] = {"rensa": "dedup"}

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns of texts, which are compared as one. A null counts as empty."""
    similarity: Annotated[float, Field(ge=0.3, le=1)] = 0.8
    """The share of runs that two texts have in common, of all that one of them has (Jaccard), from which on they are equal."""
    unit: Literal["characters", "words"] = "characters"
    """What a run is made of. One changed word changes few runs of letters and many of words."""
    size: Annotated[int, Field(ge=1, le=50)] = 5
    """Letters or words of a run: 5 letters for short texts, 9 for long ones."""
    permutations: Annotated[int, Field(ge=16, le=1024)] = 128
    """Numbers of a signature: 4 bytes each of a temporary file for each row."""

    def reads(self) -> Iterable[str]:
        return self.columns

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Sign all texts, find those with equal bands, and compare them."""
        import numpy as np

        table = to_table(rows).select(self.columns)
        repeats = NearRepeats(table.num_rows, Pieces(self.unit, self.size), self.similarity, self.permutations)
        for start in range(0, table.num_rows, PART_ROWS):
            repeats.add(_texts(table.slice(start, PART_ROWS)))
        firsts = repeats.firsts(lambda places: _texts_at(table, places))
        return rows.select((firsts == np.arange(table.num_rows)).nonzero()[0])


def _texts(table: pa.Table) -> list[str]:
    columns = [column.to_pylist() for column in table.columns]
    return ["\n".join("" if value is None else str(value) for value in row) for row in zip(*columns, strict=True)]


def _texts_at(table: pa.Table, places: npt.NDArray[np.int64]) -> Sequence[str]:
    """Return the texts at some places, which may come in any order and more than once."""
    import numpy as np
    import pyarrow as pa

    distinct, where = np.unique(places, return_inverse=True)
    texts = _texts(pa.concat_tables([table.slice(int(place), 1) for place in distinct]))
    return [texts[number] for number in where]
