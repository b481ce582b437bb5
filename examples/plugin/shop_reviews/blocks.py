"""How easily texts are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from sdg_prefect import Block, Context, block
from sdg_prefect.blocks.example import Example
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

_WORD = re.compile(r"[A-Za-z']+")
_VOWELS = re.compile(r"[aeiouy]+")
_END = re.compile(r"[.!?]+")


@block("ReadingEase")
class ReadingEase(Block):
    """Say how easily an English text is read: 100 is very easy, 0 very hard (Flesch, "A new readability yardstick", 1948).

    A text without a word gets null. Syllables are counted as groups of vowels.
    """

    family: ClassVar[str] = "Read and check texts"
    example: ClassVar[Example] = Example(
        config={"column": "review", "output_col": "ease"},
        rows=[{"review": "The shop is good. They sell warm bread."}, {"review": "?!"}],
        output=[{"review": "The shop is good. They sell warm bread.", "ease": 118.2}, {"review": "?!", "ease": None}],
    )

    column: str
    """Column with the text."""
    output_col: str = "reading_ease"
    """Column that gets the score."""

    def reads(self) -> list[str]:
        """Name the columns that must be there."""
        return [self.column]

    def writes(self) -> list[str]:
        """Name the columns that will be there afterwards."""
        return [self.output_col]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Score each text."""
        import pyarrow as pa

        table = to_table(rows)
        scores = [_ease(text) if isinstance(text, str) else None for text in table.column(self.column).to_pylist()]
        # A type of its own, so that a shard without a score has the same columns as the others.
        return to_dataset(set_column(table, self.output_col, pa.array(scores, pa.float64())))


def _ease(text: str) -> float | None:
    words = _WORD.findall(text)
    if not words:
        return None
    sentences = max(1, len(_END.findall(text)))
    syllables = sum(max(1, len(_VOWELS.findall(word.lower()))) for word in words)
    return round(206.835 - 1.015 * len(words) / sentences - 84.6 * syllables / len(words), 1)
