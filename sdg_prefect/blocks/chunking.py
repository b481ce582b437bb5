"""Cut documents into chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.files import DataFileField
from sdg_prefect.blocks.registry import block
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_ENCODING_MODEL = "gpt-4o"
"""Its encoding, o200k_base, comes with the library. Counts of other models differ from it by some percent."""


@block("ChunkText")
class ChunkText(Block):
    """Cut a document into chunks of so many tokens at most; each chunk gives a row.

    The cuts are at the highest level that fits: headings of Markdown, paragraphs, sentences, words. It needs the extra
    ``chunks``. A row without text is rejected.
    """

    family: ClassVar[str] = "Documents and embeddings"
    makes_rows: ClassVar[bool] = True
    example: ClassVar[Example] = Example(
        config={"input_col": "document", "output_col": "chunk", "size": 8, "number_col": "number"},
        rows=[{"document": "Bees dance.\n\nThey tell the others where food is."}],
        output=[
            {"document": "Bees dance.\n\nThey tell the others where food is.", "chunk": "Bees dance.", "number": 1},
            {"document": "Bees dance.\n\nThey tell the others where food is.", "chunk": "They tell the others where food is.", "number": 2},  # noqa: E501
        ],
    )  # fmt: skip

    packages: ClassVar[Mapping[str, str]] = {"semantic_text_splitter": "chunks"}

    input_col: str = Field(min_length=1)
    """Column of documents."""
    output_col: str = Field(min_length=1)
    """Column that gets the chunk; may be the one of the documents."""
    size: Annotated[int, Field(ge=1)] = 512
    """Most tokens of a chunk."""
    least: Annotated[int, Field(ge=1)] | None = None
    """Tokens from which on a chunk is not joined with the next one; ``size`` if not given, so that chunks are long."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """Most tokens that a chunk has in common with the one before."""
    unit: Literal["tokens", "characters"] = "tokens"
    """What is counted. Tokens are those of the encoding ``o200k_base``."""
    tokenizer: DataFileField | None = None
    """A ``tokenizer.json`` of Hugging Face on this machine, to count the tokens of another model."""
    form: Literal["text", "markdown"] = "text"
    """How the document is written; of Markdown, headings and code stay together where they can."""
    number_col: str | None = None
    """Column that gets the number of the chunk in its document, from 1."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> ChunkText:
        if self.least is not None and self.least > self.size:
            raise PydanticCustomError("size", "'least' is above 'size'.")
        if self.overlap >= (self.least or self.size):
            raise PydanticCustomError("size", "'overlap' has to be below the size of a chunk.")
        return self

    def reads(self) -> Iterable[str]:
        return (self.input_col,)

    def writes(self) -> Iterable[str]:
        return (self.output_col,) if self.number_col is None else (self.output_col, self.number_col)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Cut each document."""
        import pyarrow as pa

        table = to_table(rows)
        cut = _splitter(
            self.form, self.unit, self.tokenizer and self.tokenizer.path, self.least or self.size, self.size, self.overlap
        )
        expansion = Expansion(tuple(self.writes()))
        for place, text in enumerate(table.column(self.input_col).to_pylist()):
            chunks = cut(text) if isinstance(text, str) else []
            for number, chunk in enumerate(chunks, 1):
                expansion.add(place, [chunk, number][: len(expansion.columns)])
            if not chunks:
                context.reject(place, "NoText", f"'{self.input_col}' has no text to cut.")
        return to_dataset(expansion.table(table, [pa.string(), pa.int64()]))


@lru_cache(maxsize=8)
def _splitter(form: str, unit: str, tokenizer: str | None, least: int, most: int, overlap: int) -> Callable[[str], list[str]]:
    from semantic_text_splitter import MarkdownSplitter, TextSplitter

    kind: Any = MarkdownSplitter if form == "markdown" else TextSplitter
    capacity = most if least == most else (least, most)
    if unit == "characters":
        splitter = kind(capacity, overlap=overlap)
    elif tokenizer is not None:
        splitter = kind.from_huggingface_tokenizer_file(tokenizer, capacity, overlap=overlap)
    else:
        splitter = kind.from_tiktoken_model(_ENCODING_MODEL, capacity, overlap=overlap)
    return lambda text: [chunk for chunk in splitter.chunks(text) if chunk.strip()]
