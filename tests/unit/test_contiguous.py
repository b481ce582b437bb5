"""Columns in one piece: the same bytes, whether they were joined in memory or in a file."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sdg_prefect.contiguous
from sdg_prefect.contiguous import in_one_piece

few = settings(max_examples=60)

texts = st.one_of(st.none(), st.text(max_size=3))
kinds: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), texts),
    (pa.binary(), st.one_of(st.none(), st.binary(max_size=3))),
    (pa.int64(), st.one_of(st.none(), st.integers(-3, 3))),
    (pa.bool_(), st.one_of(st.none(), st.booleans())),
    (pa.timestamp("us"), st.one_of(st.none(), st.just(datetime.datetime(2026, 1, 1)))),
    (pa.list_(pa.string()), st.one_of(st.none(), st.lists(texts, max_size=3))),
    (
        pa.list_(pa.struct([("role", pa.string()), ("scores", pa.list_(pa.float64()))])),
        st.one_of(
            st.none(),
            st.lists(
                st.one_of(
                    st.none(),
                    st.fixed_dictionaries(
                        {"role": texts, "scores": st.one_of(st.none(), st.lists(st.floats(width=16), max_size=2))}
                    ),
                ),
                max_size=2,
            ),
        ),
    ),
]


def stream(column: pa.ChunkedArray) -> bytes:
    """Return a column as an Arrow stream, in which every byte of it counts."""
    sink = pa.BufferOutputStream()
    table = pa.table([column], [""])
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@few
@given(st.data())
@pytest.mark.parametrize("kind", kinds, ids=lambda kind: str(kind[0]))
def test_a_column_joined_in_a_file_has_the_bytes_of_one_joined_in_memory(
    kind: tuple[pa.DataType, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    values = data.draw(st.lists(kind[1], min_size=1, max_size=20))
    cut = data.draw(st.integers(0, len(values)))
    column = pa.chunked_array([pa.array(values[:cut], kind[0]), pa.array([values[0], *values], kind[0])[1 + cut :]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sdg_prefect.contiguous, "_PART_ROWS", 7)
        joined = in_one_piece(column, large=0)
    assert repr(joined.to_pylist()) == repr(column.to_pylist())
    assert stream(joined) == stream(in_one_piece(column))


def test_texts_that_32_bits_cannot_count_are_joined_as_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdg_prefect.contiguous, "_MOST", 3)
    for values in (["ab", None, "cd"], [["ab"], None, ["cd", "ef", None]]):
        assert in_one_piece(pa.chunked_array([values]), large=0).to_pylist() == values
    assert in_one_piece(pa.chunked_array([["ab", None, "cd"]]), large=0).type == pa.large_string()


def test_other_types_are_joined_in_memory() -> None:
    column = pa.chunked_array([pa.array(["a", None], pa.large_string()), pa.array(["b"], pa.large_string())])
    assert in_one_piece(column, large=0).to_pylist() == ["a", None, "b"]
