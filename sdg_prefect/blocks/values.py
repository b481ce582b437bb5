"""Values whose types nobody knows beforehand, as a column of one type."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def column_of(values: Sequence[Any]) -> pa.Array:
    """Return JSON-like values as a column.

    Whole numbers beside decimals become decimals; keys that some objects lack are null in them. Where values have no type in
    common all become text: texts as they are, others as JSON.
    """
    import pyarrow as pa

    try:
        made = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([as_text(value) for value in values], pa.string())
    # Neither Parquet nor JSON readers know objects without a key.
    return pa.array([as_text(value) for value in values], pa.string()) if _holds_empty(made.type) else made


def as_text(value: Any) -> str | None:
    """Return a value as text: nothing stays nothing, text stays as it is, all else is written as JSON."""
    return value if value is None or isinstance(value, str) else as_json(value)


def as_json(value: Any, indent: int | None = None) -> str:
    """Write a value as valid JSON: what is no number becomes null, and what JSON does not know becomes text."""
    return json.dumps(_sound(value), ensure_ascii=False, allow_nan=False, indent=indent, default=str)


def _sound(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): _sound(inner) for key, inner in value.items()}
    return [_sound(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _holds_empty(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_holds_empty(field.type) for field in kind)
    return pa.types.is_list(kind) and _holds_empty(kind.value_type)
