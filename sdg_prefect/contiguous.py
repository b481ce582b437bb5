"""Columns in one piece, whose bytes depend on the values alone; large ones lie in a file instead of in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.spill import SpillFile, spilled

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_LARGE_BYTES = 64 * 1024 * 1024
"""Size of a column from which on it is put into a file."""
_PART_ROWS = 10_000
_MOST = 2**31 - 1
"""What 32 bits can count."""


def in_one_piece(column: pa.ChunkedArray, folder: str | None = None, large: int = _LARGE_BYTES) -> pa.ChunkedArray:
    """Return the same values in one piece, without what the column was cut from and what stands under its nulls.

    Args:
        column: The values, in any pieces.
        folder: Where the file lies; see ``Spill``.
        large: Size in bytes of a large column.
    """
    import pyarrow as pa

    if column.nbytes < large or not _can_be_joined(column.type):
        return pa.table([_taken(column)], [""]).combine_chunks().column(0)
    starts = range(0, len(column), _PART_ROWS)
    parts = spilled((pa.table([_taken(column.slice(start, _PART_ROWS))], [""]) for start in starts), folder)
    return pa.chunked_array([_joined([chunk for part in parts for chunk in part.column(0).chunks], folder)])


def _taken(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the same values in fresh memory."""
    import pyarrow as pa

    return column.take(pa.array(range(len(column)), pa.int64()))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_binary(kind))


def _can_be_joined(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_struct(kind):
        return all(_can_be_joined(kind.field(place).type) for place in range(kind.num_fields))
    return _is_text(kind) or bool(pa.types.is_primitive(kind))


def _joined(arrays: Sequence[pa.Array], folder: str | None) -> pa.Array:
    """Join arrays of one type, each of which begins where its buffers do; as a large type where 32 bits cannot count."""
    import pyarrow as pa

    kind = arrays[0].type
    if _is_text(kind):
        ends = _ends(arrays)
        file = SpillFile(folder)
        for array in arrays:
            file.write(memoryview(array.buffers()[2] or b"")[: _size(array)])
        large = pa.large_binary() if pa.types.is_binary(kind) else pa.large_string()
        return _made(large if ends.itemsize > 4 else kind, arrays, [ends, file.buffer()])
    if pa.types.is_list(kind):
        ends = _ends(arrays)
        inner = _joined([array.values[: _size(array)] for array in arrays], folder)
        item = kind.value_field.with_type(inner.type)
        return _made(pa.large_list(item) if ends.itemsize > 4 else pa.list_(item), arrays, [ends], [inner])
    if pa.types.is_struct(kind):
        fields = [_joined([array.field(place) for array in arrays], folder) for place in range(kind.num_fields)]
        return _made(pa.struct([old.with_type(new.type) for old, new in zip(kind, fields, strict=True)]), arrays, [], fields)
    return pa.concat_arrays(arrays)


def _made(kind: pa.DataType, arrays: Sequence[pa.Array], buffers: Sequence[Any], inner: Sequence[pa.Array] = ()) -> pa.Array:
    """Make an array of buffers, with nulls where others have them."""
    import numpy as np
    import pyarrow as pa

    nulls = sum(array.null_count for array in arrays)
    are_there = np.concatenate([array.is_valid().to_numpy(zero_copy_only=False) for array in arrays])
    valid = pa.py_buffer(np.packbits(are_there, bitorder="little")) if nulls else None
    data = [valid, *map(pa.py_buffer, buffers)]
    return pa.Array.from_buffers(kind, len(are_there), data, nulls, children=list(inner) or None)


def _lengths(array: pa.Array) -> npt.NDArray[Any]:
    """Return the lengths of texts or lists."""
    import numpy as np

    return np.diff(np.frombuffer(array.buffers()[1], np.int32)[: len(array) + 1]) if len(array) else np.zeros(0, np.int32)


def _size(array: pa.Array) -> int:
    return int(_lengths(array).sum())


def _ends(arrays: Sequence[pa.Array]) -> npt.NDArray[Any]:
    """Return where each text or list ends, in 32 bits where that is enough."""
    import numpy as np

    ends = np.concatenate([np.zeros(1, np.int64), *map(_lengths, arrays)]).cumsum()
    return ends.astype(np.int64 if ends[-1] > _MOST else np.int32)
