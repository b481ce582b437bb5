"""The ids of seeds: hashes of what they say, so that seeds in another order, or with others among them, keep theirs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.repeats import digests_of, equal_before
from sdg_prefect.rows import child_id

if TYPE_CHECKING:
    import pyarrow as pa

_ID_BYTES = 12


class SeedIds:
    """Takes seeds part by part and gives each an id of its content and its ordinal among equal seeds."""

    def __init__(self) -> None:
        self._contents = bytearray()

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take the next seeds, as mappings of column to value."""
        self._contents += digests_of(rows, _ID_BYTES)

    def columns(self, lengths: Sequence[int]) -> Iterator[pa.StringArray]:
        """Yield the ids of all seeds, in pieces of these lengths."""
        ordinals = equal_before(self._contents, _ID_BYTES)
        start = 0
        for length in lengths:
            ids = bytearray(self._contents[start * _ID_BYTES : (start + length) * _ID_BYTES].hex(), "ascii")
            piece = ordinals[start : start + length]
            for place in piece.nonzero()[0].tolist():
                own = slice(place * 2 * _ID_BYTES, (place + 1) * 2 * _ID_BYTES)
                ids[own] = child_id(ids[own].decode(), "seed", int(piece[place])).encode()
            yield _texts(bytes(ids), 2 * _ID_BYTES, length)
            start += length


def seed_ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give each seed an id of its content and its ordinal among equal seeds."""
    ids = SeedIds()
    ids.add(rows)
    return [row_id for column in ids.columns([len(rows)]) for row_id in column.to_pylist()]


def _texts(data: bytes, width: int, count: int) -> pa.StringArray:
    """Return texts of one width that stand one after another."""
    import numpy as np
    import pyarrow as pa

    ends = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(data))
