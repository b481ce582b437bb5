"""Fingerprints: hashes of rows, which depend on their columns and values and on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

from sdg_prefect.frozen import digest

if TYPE_CHECKING:
    import pyarrow as pa


_PART_ROWS = 10_000
"""Rows that are hashed at one time; another number would give other fingerprints."""


def fingerprint(table: pa.Table) -> str:
    """Hash the content of a table: its columns in order, their types, and every value."""
    columns = [(field.name, str(field.type), _hash_of(table.column(place))) for place, field in enumerate(table.schema)]
    return digest(columns, table.num_rows)


def _hash_of(column: pa.ChunkedArray) -> str:
    """Hash the values of a column, whatever its chunks, what it was cut from, and what stands under a null."""
    import pyarrow as pa

    kind = column.type
    if not column.null_count:
        if pa.types.is_string(kind):
            return _hash_of_texts(column)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return _hash_of_numbers(column)
    hasher = xxhash.xxh3_128()
    sink = pa.PythonFile(_HashSink(hasher), mode="w")
    for start in range(0, len(column), _PART_ROWS):
        part = column.slice(start, _PART_ROWS)
        # Taken anew, the bytes depend on the values alone.
        plain = pa.table({"": part.take(pa.array(range(len(part)), pa.int64()))}).combine_chunks()
        with pa.ipc.new_stream(sink, plain.schema) as writer:
            writer.write_table(plain)
    return hasher.hexdigest()


def _hash_of_texts(column: pa.ChunkedArray) -> str:
    import numpy as np

    lengths, texts = xxhash.xxh3_128(), xxhash.xxh3_128()
    for chunk in column.chunks:
        _, ends, data = chunk.buffers()
        if len(chunk):
            places = np.frombuffer(ends, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            lengths.update(np.diff(places).tobytes())
            texts.update(memoryview(data)[places[0] : places[-1]] if data is not None else b"")
    return lengths.hexdigest() + texts.hexdigest()


def _hash_of_numbers(column: pa.ChunkedArray) -> str:
    numbers, width = xxhash.xxh3_128(), column.type.bit_width // 8
    for chunk in column.chunks:
        if len(chunk):
            numbers.update(memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width])
    return numbers.hexdigest()


class _HashSink:
    """A file that keeps only the hash of what is written to it."""

    closed = False

    def __init__(self, hasher: xxhash.xxh3_128) -> None:
        self._hasher = hasher

    def write(self, data: bytes) -> int:
        self._hasher.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

    def close(self) -> None:
        self.closed = True
