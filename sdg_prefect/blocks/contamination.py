"""Leave out rows that have texts of evaluation sets in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.files import DataFile, DataFileField
from sdg_prefect.blocks.ngrams import ngrams, normal_words
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import FlowError, did_you_mean
from sdg_prefect.rows import set_column, to_dataset, to_table, without_ids
from sdg_prefect.store.formats import READABLE, format_of
from sdg_prefect.store.seeds import read_seeds

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("DropContaminated")
class DropContaminated(Block):
    """Leave out rows that share a run of words with an evaluation set, so that a model is not tested on what it was trained on.

    A run of 13 words, without case and punctuation, is the measure of GPT-3 (Brown et al., 2020, appendix C). Texts of an
    evaluation set that are shorter are looked for as a whole, if they have at least ``shortest`` words.
    """

    family: ClassVar[str] = "Duplicates and overlaps"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"columns": ["question"], "against": ["exam.jsonl"], "n": 5},
        files={"exam.jsonl": '{"question": "How many legs does a honey bee have?"}\n'},
        rows=[
            {"question": "Tell me: how many legs does a honey bee have, six?"},
            {"question": "Why do bees dance in their hive?"},
        ],
        output=[{"question": "Why do bees dance in their hive?"}],
    )

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns of texts that are looked through, each by itself."""
    against: tuple[DataFileField, ...] = Field(min_length=1)
    """Files with the evaluation sets: JSON lines, JSON, CSV, TSV or Parquet, or ``.txt`` with a text on each line."""
    against_columns: tuple[str, ...] = ()
    """Columns of these files that count; all texts in them if not given."""
    n: Annotated[int, Field(ge=2, le=100)] = 13
    """How many words a run has."""
    shortest: Annotated[int, Field(ge=1)] = 5
    """How many words a text of an evaluation set has to have for it to be looked for, where it is shorter than a run."""
    share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of a text's runs above which it counts as an overlap; 0 for a single one."""
    mark: str | None = None
    """A column that says true or false instead: no row is left out."""

    @model_validator(mode="after")
    def _files_have_rows(self) -> DropContaminated:
        for file in self.against:
            if format_of(file.path) is None:
                said = f"'{file.path}' is no file of rows or text. {READABLE}"
                raise PydanticCustomError("evaluation_set", "{message}", {"message": said})
        return self

    def reads(self) -> Iterable[str]:
        return self.columns

    def writes(self) -> Iterable[str]:
        return () if self.mark is None else (self.mark,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Look for the runs of the evaluation sets in each row."""
        import pyarrow as pa

        table = to_table(rows)
        wanted = [_runs(one, self.against_columns, self.n, self.shortest) for one in self.against]
        sought: dict[int, set[bytes]] = {}
        for runs in wanted:
            for size, found in runs.items():
                sought.setdefault(size, set()).update(found)
        values = zip(*(table.column(name).to_pylist() for name in self.columns), strict=True)
        verdicts = [any(self._overlaps(text, sought) for value in row for text in texts_of(value)) for row in values]
        if self.mark is not None:
            return to_dataset(set_column(table, self.mark, pa.array(verdicts, pa.bool_())))
        return to_dataset(table.filter(pa.array([not verdict for verdict in verdicts], pa.bool_())))

    def _overlaps(self, text: str, sought: Mapping[int, set[bytes]]) -> bool:
        words = normal_words(text)
        for size, runs in sought.items():
            hits = sum(run in runs for run in ngrams(words, size))
            # A text that is sought as a whole and found is an overlap, however long the row.
            if hits and (size < self.n or hits > self.share * (len(words) - size + 1)):
                return True
        return False


def texts_of(value: Any) -> Iterable[str]:
    """Give the texts in a value, those within lists and objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from texts_of(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from texts_of(part)


@lru_cache(maxsize=32)
def _runs(file: DataFile, columns: tuple[str, ...], n: int, shortest: int) -> Mapping[int, frozenset[bytes]]:
    """Return the runs of an evaluation set, by how many words they have. Shards share them.

    Raises:
        FlowError: The file was changed since the flow was read, or has no text.
    """
    found: dict[int, set[bytes]] = {}
    count = 0
    for text in _texts_in(file, columns):
        words = normal_words(text)
        size = min(n, len(words))
        if size >= min(n, shortest):
            count += 1
            found.setdefault(size, set()).update(ngrams(words, size))
    if not count:
        raise FlowError(
            f"the evaluation set {file.path} has no text of {min(n, shortest)} words or more.", "Set 'shortest' lower?"
        )
    return {size: frozenset(runs) for size, runs in found.items()}


def _texts_in(file: DataFile, columns: tuple[str, ...]) -> Iterable[str]:
    content = file.read()
    if file.path.endswith(".txt"):
        return content.decode("utf-8", "replace").splitlines()
    table = without_ids(read_seeds(file.path))
    if missing := [name for name in columns if name not in table.column_names]:
        raise FlowError(
            f"the evaluation set {file.path} has no column '{missing[0]}'.", did_you_mean(missing[0], table.column_names)
        )
    chosen = table.select(columns or table.column_names)
    return (text for part in chosen.to_batches() for row in part.to_pylist() for text in texts_of(row))
