"""Two blocks of one's own: one in our style, one in the style of sdg_hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sdg_prefect import Block, Context, block

if TYPE_CHECKING:
    from datasets import Dataset


@block("WordCountBlock")
class WordCountBlock(Block):
    """Count the words of a column."""

    column: str
    """Column whose words are counted."""

    output_col: str = "words"
    """Column that gets the count."""

    def reads(self) -> list[str]:
        """Name the columns that must be there."""
        return [self.column]

    def writes(self) -> list[str]:
        """Name the columns that will be there afterwards."""
        return [self.output_col]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Add the count to each row."""
        return rows.add_column(self.output_col, [len(str(value).split()) for value in rows[self.column]])


@block("FirstSentenceBlock")
class FirstSentenceBlock:
    """Copy the first sentence of a column to another one."""

    row_local = True  # each row stands alone, so shards need not wait for each other

    def __init__(self, block_name: str, column: str, output_col: str) -> None:
        """Take what stands under `block_config` in the flow."""
        self.block_name = block_name
        self.column = column
        self.output_col = output_col

    def generate(self, samples: Dataset, **gen_kwargs: Any) -> Dataset:
        """Return the rows with one more column."""

        def add_first_sentence(row: dict[str, Any]) -> dict[str, Any]:
            sentence, stop, _ = row[self.column].partition(". ")
            return {**row, self.output_col: sentence + stop.strip()}

        return samples.map(add_first_sentence)
