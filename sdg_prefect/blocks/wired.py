"""Blocks in the way of sdg_hub 0.9, which name the columns that come in and those that go out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns, Need

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


def _as_names(value: Any) -> Any:
    """Bring the ways to write columns into one: a text is one of them, nothing is none, a mapping stands for its keys."""
    if isinstance(value, Mapping):
        return tuple(value)
    return () if value is None else (value,) if isinstance(value, str) else value


def _only_one(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(names) != 1:
        raise PydanticCustomError("columns", "has to name one column, not {count}.", {"count": len(names)})
    return names


_SCHEMA = WithJsonSchema({"type": ["string", "array", "object", "null"], "items": {"type": "string"}})

Names = Annotated[tuple[str, ...], BeforeValidator(_as_names), _SCHEMA]
"""Columns: one as a text, a list, or the keys of a mapping."""
OneName = Annotated[tuple[str, ...], BeforeValidator(_as_names), AfterValidator(_only_one), _SCHEMA]
"""One column, as a text or as a list of one."""


class WiredBlock(Block):
    """A block of sdg_hub 0.9. Fields that it does not have are told and left out, as files of that format have some."""

    ignores_unknown: ClassVar[bool] = True

    block_type: str | None = None
    """Without effect: the kind of block, which sdg_hub writes into files that it makes."""

    def doubts(self, before: Columns) -> Iterable[str]:
        return [f"the column '{name}' is replaced." for name in dict.fromkeys(self.writes()) if name in before]


class RenamedBlock(WiredBlock):
    """A block whose work another one does, under other names of its fields."""

    @property
    def plain(self) -> Block:
        """The block that does the work."""
        raise TypeError(f"{type(self).__name__} names no block that does its work")

    def reads(self) -> Iterable[str | Need]:
        return self.plain.reads()

    def writes(self) -> Iterable[str]:
        return self.plain.writes()

    def columns_after(self, before: Columns) -> Columns:
        return self.plain.columns_after(before)

    def doubts(self, before: Columns) -> Iterable[str]:
        return self.plain.doubts(before)

    def run(self, rows: Dataset, context: Context) -> Dataset | list[Dataset]:
        """Have it done."""
        return self.plain.run(rows, context)
