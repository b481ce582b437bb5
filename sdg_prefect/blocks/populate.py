"""Give rows what a YAML file says, chosen by a value of the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.files import FlowFiles, reported
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import Problem
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("SamplePopulatorBlock")
class SamplePopulatorBlock(Block):
    """Add the keys of a YAML file as columns; the row's value in a column says which file.

    The value is a file's name up to its first dot. A row with another value is rejected. Columns of the same name are replaced.
    """

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"config_paths": ["poem.yaml", "letter.yaml"], "column_name": "form"},
        files={"poem.yaml": "rule: Let it rhyme.\nlines: 4\n", "letter.yaml": "rule: Greet first.\nlines: 20\n"},
        rows=[{"form": "poem"}],
        output=[{"form": "poem", "rule": "Let it rhyme.", "lines": 4}],
    )

    post_fix: str = ""
    """With ``x``, the file ``a.yaml`` of the list is read from ``a_x.yaml``; the value stays ``a``."""
    config_paths: Mapping[str, Mapping[str, Any]] = Field(
        min_length=1, json_schema_extra={"type": "array", "items": {"type": "string"}}
    )
    """The YAML files, each a mapping of column to value."""
    column_name: str = Field(min_length=1)
    """Column whose value chooses the file."""

    @field_validator("config_paths", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, list):
            return value
        files = info.context if isinstance(info.context, FlowFiles) else FlowFiles(Path.cwd())
        post_fix = info.data.get("post_fix") or ""
        return {
            _choice(name): _mapping(files, name.replace(".yaml", f"_{post_fix}.yaml") if post_fix else name) for name in value
        }

    def reads(self) -> Iterable[str]:
        return (self.column_name,)

    def writes(self) -> Iterable[str]:
        return dict.fromkeys(key for values in self.config_paths.values() for key in values)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Add the columns."""
        import pyarrow as pa

        table = to_table(rows)
        kept, chosen = [], []
        for row, choice in enumerate(table.column(self.column_name).to_pylist()):
            if str(choice) in self.config_paths:
                kept.append(row)
                chosen.append(self.config_paths[str(choice)])
            else:
                context.reject(row, "UnknownChoice", f"{choice!r} is none of {', '.join(self.config_paths)}.")
        table = table.take(pa.array(kept, pa.int64()))
        for name in self.writes():
            kind = _type_of([values.get(name) for values in self.config_paths.values()])
            texts = pa.types.is_string(kind)
            values = [values.get(name) for values in chosen]
            table = set_column(table, name, pa.array([_text(value) for value in values] if texts else values, kind))
        return to_dataset(table)


def _type_of(values: list[Any]) -> pa.DataType:
    """Return the type of a column that holds any of these values; text where they share none."""
    import pyarrow as pa

    try:
        return pa.array(values).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.string()


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _choice(name: str) -> str:
    return PurePosixPath(name).name.split(".")[0]


def _mapping(files: FlowFiles, name: str) -> Mapping[str, Any]:
    content, _, shown = files.read_mapping(name)
    if not isinstance(content, dict):
        files.report(Problem("has to be a mapping of column to value.", file=shown, line=1))
        raise reported()
    return {str(key): value for key, value in content.items()}
