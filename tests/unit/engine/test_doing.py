"""A step at work on rows of which some pass by: all are there, in their places, and counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.blocks import Block, find_block
from sdg_prefect.blocks.lanes import Join, Split
from sdg_prefect.engine.doing import do
from sdg_prefect.errors import BlockError
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import PART_ROWS, ids_of, to_dataset, to_table, with_ids, without_ids
from sdg_prefect.testing.context import ScriptedContext
from sdg_prefect.testing.script import Replies, Script

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks import Context


class Grow(Block):
    """Gives each row as often as its number says, none for 0, in reverse order of the input; rejects what is negative."""

    type_name: ClassVar[str] = "GrowForDoing"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    makes_rows: ClassVar[bool] = True

    def run(self, rows: Dataset, context: Context) -> Dataset:
        table = to_table(rows)
        numbers = table.column("n").to_pylist()
        for place, number in enumerate(numbers):
            if number < 0:
                context.reject(place, "Negative", "it is negative")
        places = [place for place, number in enumerate(numbers) for _ in range(max(0, number))][::-1]
        return to_dataset(
            table.take(pa.array(places, pa.int64())).append_column("grown", pa.array([True] * len(places), pa.bool_()))
        )


def rows_of(numbers: list[int], **columns: list[Any]) -> pa.Table:
    table = pa.table({"n": pa.array(numbers, pa.int64()), **columns})
    return with_ids(table, [f"id{place}" for place in range(len(numbers))])


def done(block: Block, table: pa.Table, when: str = "", replies: Script = (), **more: Any) -> tuple[list[pa.Table], Any, Any]:
    context = ScriptedContext(block, table, Replies(replies))
    step = Step(block.block_name, block.block_name, block, "key", "", block.scope, when=when, **more)
    parts, counts = do(step, table, context)
    return parts, counts, context


def made(name: str, **fields: Any) -> Block:
    cls = find_block(name)
    assert cls is not None
    return cls.model_validate({"block_name": "it", **fields})


def test_rows_for_which_the_condition_does_not_hold_pass_by_in_their_places() -> None:
    block = made("DuplicateColumns", columns_map={"n": "copy"})
    (table,), counts, _ = done(block, rows_of([1, 2, 3, 4]), "n is even")
    assert without_ids(table).to_pylist() == [
        {"n": 1, "copy": None},
        {"n": 2, "copy": 2},
        {"n": 3, "copy": None},
        {"n": 4, "copy": 4},
    ]
    assert ids_of(table) == ["id0", "id1", "id2", "id3"]
    assert (counts.rows_in, counts.rows_out, counts.gave_rows, counts.skipped) == (4, 4, 4, 2)


def test_a_model_is_asked_for_the_other_rows_only() -> None:
    block = made("LLMMessagesBlock", model_id="teacher", input_col="messages", output_col="reply")
    messages = [[{"role": "user", "content": str(number)}] for number in range(3)]
    parts, _, context = done(block, rows_of([0, 1, 2], messages=messages), "n != 1", lambda prompt: f"<{prompt.strip()}>")
    assert [request.row_id for request in context.requests] == ["id0", "id2"]
    assert [row["reply"] is None for row in parts[0].to_pylist()] == [False, True, False]


def test_a_rejected_row_is_the_one_that_the_block_means() -> None:
    _, counts, context = done(Grow(block_name="grow"), rows_of([0, 5, -1, 2, -2]), "n < 3")
    assert {row: reject.row_id for row, reject in context.rejects.items()} == {2: "id2", 4: "id4"}
    assert (counts.rows_in, counts.gave_rows, counts.filtered, counts.rejected, counts.skipped) == (5, 2, 1, 2, 1)


def test_a_row_that_the_condition_cannot_be_asked_of_is_rejected() -> None:
    (table,), counts, context = done(made("DuplicateColumns", columns_map={"n": "copy"}), rows_of([1, 2]), "1 // (n - 1)")
    assert [(reject.row_id, reject.error) for reject in context.rejects.values()] == [("id0", "ConditionFailed")]
    assert (ids_of(table), counts.rejected, counts.is_conserved) == (["id1"], 1, True)


def test_columns_are_the_same_whether_or_not_a_row_takes_part() -> None:
    block = made("RenameColumns", columns_map={"n": "m"})
    names = [done(block, rows_of(numbers), "n > 1")[0][0].column_names for numbers in ([0], [2], [0, 2], [])]
    assert names == [["__row_id__", "n", "m"]] * 4


def test_a_block_that_waits_for_all_rows_looks_at_those_for_which_it_holds() -> None:
    (table,), counts, _ = done(made("DropDuplicates", columns=["a"]), rows_of([1, 0, 2, 0], a=["x"] * 4), "n > 0")
    assert [row["n"] for row in table.to_pylist()] == [1, 0, 0]
    assert (counts.deduplicated, counts.skipped) == (1, 2)


def test_rows_of_many_parts_keep_their_order() -> None:
    numbers = list(range(2 * PART_ROWS + 5))
    (table,), _, _ = done(made("DuplicateColumns", columns_map={"n": "copy"}), rows_of(numbers), "n % 3 == 0")
    assert table.column("n").to_pylist() == numbers
    assert table.column("copy").to_pylist() == [number if number % 3 == 0 else None for number in numbers]


def test_another_type_than_that_of_rows_that_pass_by_is_told() -> None:
    block = made("FilterByValueBlock", filter_column="a", filter_value=0, operation="operator.ge", convert_dtype="int")
    with pytest.raises(BlockError, match="'it', whose 'when' lets some rows pass by: column 'a' has rows of type string"):
        done(block, rows_of([1, 2], a=["1", "2"]), "n == 1")


@settings(max_examples=60)
@given(st.lists(st.integers(-1, 3), max_size=12), st.sampled_from(["n > 0", "n < 2", "true", "false", "n is even", "4 // n > 1"]))
def test_no_row_is_lost_and_all_stand_in_order(numbers: list[int], condition: str) -> None:
    (table,), counts, context = done(Grow(block_name="grow"), rows_of(numbers), condition)

    def holds(number: int) -> bool | None:
        told: dict[str, Callable[[int], bool]] = {
            "n > 0": lambda n: n > 0,
            "n < 2": lambda n: n < 2,
            "true": lambda _: True,
            "false": lambda _: False,
            "n is even": lambda n: n % 2 == 0,
            "4 // n > 1": lambda n: 4 // n > 1,
        }
        try:
            return told[condition](number)
        except ZeroDivisionError:
            return None

    expected = [
        number for number in numbers for _ in range(1 if holds(number) is False else max(0, number) if holds(number) else 0)
    ]
    assert table.column("n").to_pylist() == expected
    assert counts.is_conserved
    assert counts.rows_in == len(numbers)
    assert counts.skipped == sum(holds(number) is False for number in numbers)
    assert counts.rejected == len(context.rejects) == sum(holds(n) is None or (bool(holds(n)) and n < 0) for n in numbers)
    assert len(set(ids_of(table))) == table.num_rows


@settings(max_examples=60)
@given(st.lists(st.integers(-1, 3), max_size=12), st.sampled_from(["pass", "filter", "reject"]))
def test_rows_that_took_lanes_come_together_in_their_order(numbers: list[int], rest: Literal["pass", "filter", "reject"]) -> None:
    split = Split(block_name="split", conditions=("n > 2", "n == 1"), place="__place_0__", rest=rest)
    lanes, counts, _ = done(split, rows_of(numbers))
    assert [lane.column("n").to_pylist() for lane in lanes[:2]] == [[3] * numbers.count(3), [1] * numbers.count(1)]
    assert counts.is_conserved
    ways = [done(Grow(block_name="grow"), lane)[0][0] for lane in lanes[:2]]
    together = pa.concat_tables([*ways, lanes[2]], promote_options="permissive")
    join = Join(block_name="join", place="__place_0__", columns=("n", "grown", "never"))
    (table,), counts, _ = done(join, together)
    left = [number for number in numbers if number in (1, 3) or rest == "pass"]
    assert table.column("n").to_pylist() == [number for number in left for _ in range(3 if number == 3 else 1)]
    assert table.column_names == ["__row_id__", "n", "grown", "never"]
    assert counts.is_conserved
