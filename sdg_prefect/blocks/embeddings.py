"""Place texts in space, and leave out those that lie too near to earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.asking import NoRequest, ask
from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.near_vectors import Compared, Indexed, Kept, first_of_each
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Request
from sdg_prefect.models.vectors import pack, unpack
from sdg_prefect.rows import PART_ROWS, to_dataset, to_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_COMPARED = 1024
"""Rows that are compared with all earlier ones at one time."""


@block("EmbedText")
class EmbedText(Block):
    """Ask a model for the embedding of a text: a list of numbers that are near those of texts like it.

    A row without text is rejected.
    """

    family: ClassVar[str] = "Documents and embeddings"
    example: ClassVar[Example] = Example(
        config={"model_id": "embedder", "input_col": "text", "output_col": "vector"},
        rows=[{"text": "Bees dance."}],
        replies={"Bees": pack([0.5, -0.25])},
        output=[{"text": "Bees dance.", "vector": [0.5, -0.25]}],
    )

    model_id: str = Field(min_length=1)
    """The model, by the name that ``models:`` or the endpoint knows; its server has to have ``v1/embeddings``."""
    input_col: str = Field(min_length=1)
    """Column of texts."""
    output_col: str = Field(min_length=1)
    """Column that gets the list of numbers, of 32 bits each."""
    prefix: str = ""
    """What stands before each text, as some models want it, such as ``passage: ``."""
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """How many numbers, where the model can give fewer than usual."""

    def reads(self) -> Iterable[str]:
        return (self.input_col,)

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def most_tokens_per_call(self) -> int | None:
        return 0

    def asks(self) -> object:
        return [self.prefix, self.dimensions]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask for the vector of each text."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion((self.output_col,))
        for asked in ask(table, (self.input_col,), self._request, context):
            said = asked.answer.choices[0].text or ""
            try:
                expansion.add(asked.place, [unpack(said).tolist()])
            except ValueError as error:
                context.reject(asked.place, "BrokenVector", f"{error}.", raw=said, attempts=asked.answer.attempts)
        return to_dataset(expansion.table(table, pa.list_(pa.float32())))

    def _request(self, row: Mapping[str, object], row_id: str) -> Request:
        text = row[self.input_col]
        if not isinstance(text, str) or not text.strip():
            raise NoRequest("NoText", f"'{self.input_col}' has no text to embed.")
        params = {} if self.dimensions is None else {"dimensions": self.dimensions}
        return Request(self.model_id, row_id, text=self.prefix + text, params=params)


@block("DropSimilar")
class DropSimilar(Block):
    """Keep rows whose embedding lies far enough from those of all rows kept before, and leave out the others.

    Near means what the texts say, not their words: as in SemDeDup (Abbas et al., 2023), but with every pair compared. Rows
    without an embedding are kept, and those with something else in its place are rejected.
    """

    family: ClassVar[str] = "Duplicates and overlaps"
    scope: ClassVar[Literal["all"]] = "all"
    leaves_out: ClassVar[Literal["deduplicated"]] = "deduplicated"
    example: ClassVar[Example] = Example(
        config={"vector_col": "vector", "similarity": 0.95},
        rows=[
            {"text": "Bees dance.", "vector": [1.0, 0.0]},
            {"text": "The bees are dancing.", "vector": [0.99, 0.01]},
            {"text": "It rains.", "vector": [0.0, 1.0]},
        ],
        output=[{"text": "Bees dance.", "vector": [1.0, 0.0]}, {"text": "It rains.", "vector": [0.0, 1.0]}],
    )

    vector_col: str = Field(min_length=1)
    """Column of embeddings, all of one length."""
    similarity: Annotated[float, Field(gt=0, le=1)] = 0.95
    """The cosine from which on a row counts as a repeat."""
    index: Literal["exact", "usearch"] = "exact"
    """How near rows are found. ``exact`` compares all, with numpy; the time grows with the square of the rows. ``usearch`` has an
    index for more rows than some hundred thousand, which may miss a few; it needs the extra ``vectors``."""

    def needed_packages(self) -> Mapping[str, str]:
        return {"usearch": "vectors"} if self.index == "usearch" else {}

    def reads(self) -> Iterable[str]:
        return (self.vector_col,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Compare block by block with the rows that were kept before, and within the block."""
        import numpy as np

        column = to_table(rows).column(self.vector_col)
        if not _holds_vectors(column.type):
            is_there = column.is_valid().to_numpy()
            for place in is_there.nonzero()[0].tolist():
                context.reject(place, "NoEmbedding", f"'{self.vector_col}' holds no list of numbers, as EmbedText makes them.")
            return rows.select((~is_there).nonzero()[0])
        lengths = _lengths(column)
        usual = next((length for length in lengths.tolist() if length > 0), 0)
        is_kept = lengths <= 0
        for place in ((lengths > 0) & (lengths != usual)).nonzero()[0].tolist():
            context.reject(place, "WrongLength", f"the embedding has {lengths[place]} numbers, others have {usual}.")
        places = (lengths == usual).nonzero()[0] if usual else np.zeros(0, np.int64)
        kept: Kept = Indexed(usual) if self.index == "usearch" else Compared(len(places), usual)
        masks = first_of_each(_directions(column, places), kept, self.similarity) if len(places) else []
        is_kept[places] = np.concatenate(masks) if masks else False
        return rows.select(is_kept.nonzero()[0])


def _holds_vectors(kind: pa.DataType) -> bool:
    """True for lists of numbers, and for nothing but nulls."""
    import pyarrow as pa

    types = pa.types
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return bool(types.is_null(kind))
    inner = kind.value_type
    return bool(types.is_floating(inner) or types.is_integer(inner) or types.is_null(inner))


def _lengths(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return how many numbers each embedding has; -1 where there is none, or one that has no direction."""
    import numpy as np
    import pyarrow.compute as pc

    found = np.full(len(column), -1, np.int64)
    for start in range(0, len(column), PART_ROWS):
        lists = _lists(column.slice(start, PART_ROWS))
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        places = lengths.nonzero()[0]
        if len(places):
            squares = np.square(lists.flatten().to_numpy(zero_copy_only=False), dtype=np.float64)
            sums = np.add.reduceat(squares, (np.cumsum(lengths) - lengths)[places])
            places = places[np.isfinite(sums) & (sums > 0)]
            found[start + places] = lengths[places]
    return found


def _lists(column: pa.ChunkedArray) -> pa.ListArray:
    """Return a column of lists of numbers of any type as one array of lists of 32 bits."""
    import pyarrow as pa

    whole = column.combine_chunks()
    return (whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole).cast(pa.list_(pa.float32()))


def _directions(column: pa.ChunkedArray, places: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.float32]]:
    """Give the embeddings at some places, at length 1, some at a time."""
    import numpy as np

    for start in range(0, len(places), _COMPARED):
        some = places[start : start + _COMPARED]
        lists = _lists(column.slice(int(some[0]), int(some[-1] - some[0]) + 1).take(some - some[0]))
        vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(some), -1)
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
