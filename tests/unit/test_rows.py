"""Row ids and fingerprints come from content alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.rows import (
    ROW_ID,
    child_id,
    child_ids,
    concat,
    ids_of,
    set_column,
    to_dataset,
    to_table,
    well_formed,
    with_ids,
    without_ids,
)
from sdg_prefect.seed_ids import SeedIds, seed_ids

few = settings(max_examples=60)

values = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.lists(st.integers(0, 1), max_size=2))
seeds = st.lists(st.fixed_dictionaries({"a": values, "b": st.sampled_from(["x", "y"])}), max_size=8)


def text_of(row: dict[str, Any]) -> str:
    return repr(sorted(row.items()))


@few
@given(seeds)
def test_every_seed_has_an_id_of_its_own(rows: list[dict[str, Any]]) -> None:
    assert len(set(seed_ids(rows))) == len(rows)


@few
@given(seeds, st.randoms(use_true_random=False))
def test_reordering_seeds_keeps_the_ids(rows: list[dict[str, Any]], order: Any) -> None:
    shuffled = order.sample(rows, len(rows))
    assert sorted(zip(map(text_of, shuffled), seed_ids(shuffled), strict=True)) == sorted(
        zip(map(text_of, rows), seed_ids(rows), strict=True)
    )


@few
@given(seeds, seeds)
def test_appending_seeds_keeps_the_ids_of_those_before(rows: list[dict[str, Any]], more: list[dict[str, Any]]) -> None:
    assert seed_ids([*rows, *more])[: len(rows)] == seed_ids(rows)


@few
@given(seeds, st.integers(0, 8))
def test_seeds_read_in_parts_get_the_ids_of_seeds_read_at_once(rows: list[dict[str, Any]], cut: int) -> None:
    ids = SeedIds()
    ids.add(rows[:cut])
    ids.add(rows[cut:])
    columns = ids.columns([len(rows[:cut]), len(rows[cut:])])
    assert [row_id for column in columns for row_id in column.to_pylist()] == seed_ids(rows)


def test_the_order_of_columns_is_not_in_a_seeds_id() -> None:
    assert seed_ids([{"a": 1, "b": None}]) == seed_ids([{"b": None, "a": 1}])


def test_values_of_other_types_make_other_seeds() -> None:
    different = [1, 1.0, True, "1", [1], {"a": 1}, None, "", "None"]
    assert len(set(seed_ids([{"a": value} for value in different]))) == len(different)


def test_half_a_character_has_an_id_too() -> None:
    assert len(set(seed_ids([{"a": "\ud83d"}, {"a": "\ud83e"}]))) == 2


def test_the_ids_of_made_rows_come_from_parent_maker_and_ordinal() -> None:
    assert child_ids(["p", "q", "p"], "Ask") == [child_id("p", "Ask", 0), child_id("q", "Ask", 0), child_id("p", "Ask", 1)]
    assert len({child_id("p", "Ask", 0), child_id("p", "Ask", 1), child_id("p", "Tell", 0), child_id("q", "Ask", 0)}) == 4


@few
@given(st.lists(st.sampled_from("pqr"), max_size=9))
def test_made_rows_keep_their_ids_wherever_the_rows_of_other_parents_are(parents: list[str]) -> None:
    by_parent = [child_ids([parent for parent in parents if parent == one], "Ask") for one in "pqr"]
    assert sorted(child_ids(parents, "Ask")) == sorted(row_id for ids in by_parent for row_id in ids)


def test_ids_stand_first_and_come_off_again() -> None:
    table = with_ids(pa.table({"a": [1, 2]}), ["x", "y"])
    assert table.column_names == [ROW_ID, "a"]
    assert with_ids(table, ["v", "w"]).to_pydict() == {ROW_ID: ["v", "w"], "a": [1, 2]}
    assert ids_of(table) == ["x", "y"]
    assert without_ids(table).column_names == ["a"]
    assert without_ids(without_ids(table)).column_names == ["a"]


def test_a_selection_of_a_dataset_is_applied() -> None:
    rows = Dataset.from_dict({"a": [1, 2, 3]}).select([2, 0])
    assert to_table(rows).to_pydict() == {"a": [3, 1]}
    assert to_table(to_dataset(to_table(rows))).to_pydict() == {"a": [3, 1]}


@pytest.mark.parametrize("places", [[0, 2, 3, 7], [1, 1, 2], [5, 0, 3], list(range(8)), []])
def test_a_selection_is_the_same_however_many_parts_it_is_copied_in(places: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdg_prefect.rows.PART_ROWS", 2)
    rows = Dataset(pa.concat_tables([pa.table({"a": list("abcd")}), pa.table({"a": list("efgh")})])).select(places)
    assert to_table(rows).to_pydict() == {"a": ["abcdefgh"[place] for place in places]}


def test_a_set_column_keeps_its_place() -> None:
    table = pa.table({"a": [1], "b": [2]})
    assert set_column(table, "a", ["x"]).to_pydict() == {"a": ["x"], "b": [2]}
    assert set_column(table, "c", [3]).column_names == ["a", "b", "c"]


def test_tables_whose_columns_differ_are_concatenated_with_nulls() -> None:
    one, other = pa.table({"a": [1], "b": pa.nulls(1)}), pa.table({"b": ["x"], "a": [1.5]})
    assert concat([one, other]).to_pylist() == [{"a": 1.0, "b": None}, {"a": 1.5, "b": "x"}]


KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "text": (pa.string(), ["a", "bcd", None, "é", ""]),
    "text without nulls": (pa.string(), ["a", "bcd", "é", "x", "y"]),
    "numbers": (pa.int64(), [1, 2, None, 3, 4]),
    "numbers without nulls": (pa.int64(), [1, 2, 3, 4, 5]),
    "fractions": (pa.float64(), [0.5, None, float("nan"), -0.0, 2.0]),
    "booleans": (pa.bool_(), [True, None, False, True, True]),
    "nulls": (pa.null(), [None] * 5),
    "lists": (pa.list_(pa.string()), [["a", "b"], None, [], ["c", None], [""]]),
    "objects": (
        pa.struct([("x", pa.int64()), ("y", pa.list_(pa.string()))]),
        [{"x": 1, "y": ["q"]}, None, {"x": None}, {}, {"y": []}],
    ),
    "lists of objects": (pa.list_(pa.struct([("x", pa.int64())])), [[{"x": 1}, {"x": None}], [], None, [{"x": 2}], []]),
}

kinds = pytest.mark.parametrize("kind", KINDS)


def table_of(kind: str, wanted: Sequence[Any] | None = None) -> pa.Table:
    arrow, examples = KINDS[kind]
    return pa.table({"a": pa.array(examples if wanted is None else list(wanted), arrow)})


@kinds
def test_a_fingerprint_does_not_depend_on_chunks(kind: str) -> None:
    _, examples = KINDS[kind]
    whole = table_of(kind)
    chunked = pa.concat_tables([table_of(kind, examples[:2]), table_of(kind, []), table_of(kind, examples[2:])])
    assert fingerprint(chunked) == fingerprint(whole)


@kinds
def test_a_fingerprint_does_not_depend_on_where_rows_were_selected(kind: str) -> None:
    _, examples = KINDS[kind]
    longer = table_of(kind, [*examples[:3], *examples, None])
    assert fingerprint(longer.take(pa.array(range(3, 8)))) == fingerprint(table_of(kind))
    assert fingerprint(longer.filter(pa.array([False] * 3 + [True] * 5 + [False]))) == fingerprint(table_of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fingerprint_does_not_depend_on_what_a_slice_was_cut_from(kind: str) -> None:
    _, examples = KINDS[kind]
    before = table_of(kind, [*examples[:3], *examples, None, examples[0]])
    assert fingerprint(before.slice(3, 5)) == fingerprint(table_of(kind))
    after = table_of(kind, [*examples, None, examples[0]])
    assert fingerprint(after.slice(0, 5)) == fingerprint(table_of(kind))


def test_a_fingerprint_does_not_depend_on_what_lies_under_a_null() -> None:
    shown = pc.if_else(pa.array([True, False]), pa.array([1, 7]), pa.scalar(None, pa.int64()))
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.array([1, 7]).buffers()[1]])
    assert fingerprint(pa.table({"a": shown})) == fingerprint(pa.table({"a": hidden})) == fingerprint(pa.table({"a": [1, None]}))


@kinds
def test_a_fingerprint_of_many_rows_does_not_depend_on_chunks_or_on_what_they_were_cut_from(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sdg_prefect.fingerprints._PART_ROWS", 2)
    whole = table_of(kind)
    assert fingerprint(pa.concat_tables([whole.slice(0, 1), whole.slice(1)])) == fingerprint(whole)
    assert fingerprint(pa.concat_tables([whole, whole]).slice(5)) == fingerprint(whole)


def test_metadata_is_not_in_a_fingerprint() -> None:
    table = pa.table({"a": [1]})
    assert fingerprint(table.replace_schema_metadata({"k": "v"})) == fingerprint(table)


def test_other_content_has_another_fingerprint() -> None:
    tables = [
        pa.table({"a": [1, 2]}),
        pa.table({"a": [2, 1]}),
        pa.table({"a": [1]}),
        pa.table({"a": [1, None]}),
        pa.table({"a": [1.0, 2.0]}),
        pa.table({"a": ["1", "2"]}),
        pa.table({"b": [1, 2]}),
        pa.table({"a": [1, 2], "b": [1, 2]}),
        pa.table({"b": [1, 2], "a": [1, 2]}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.table({"a": pa.array([], pa.string())}),
        pa.table({"a": ["ab", "c"]}),
        pa.table({"a": ["a", "bc"]}),
        pa.table({"a": [["a"], ["b", "c"]]}),
        pa.table({"a": [["a", "b"], ["c"]]}),
    ]
    assert len({fingerprint(table) for table in tables}) == len(tables)


@few
@given(st.recursive(st.text(alphabet=st.characters()), lambda part: st.lists(part) | st.dictionaries(st.text(), part)))
def test_what_a_file_can_hold_is_left_as_it_is(value: Any) -> None:
    assert well_formed(value) == value


def test_halves_of_characters_are_replaced_wherever_they_stand() -> None:
    assert well_formed({"a\ud83d": ["é\ud83d", 1, None]}) == {"a?": ["é?", 1, None]}
