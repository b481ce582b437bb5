"""Blocks that users bring: written with ``generate`` or with ``run``, careful or careless."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251 - a block goes to workers pickled
from typing import Any

import pytest
from datasets import Dataset, concatenate_datasets
from pydantic import ValidationError

from sdg_prefect.blocks import Block, Columns, Context, block, find_block
from sdg_prefect.blocks.upstream import Block as UpstreamBase
from sdg_prefect.blocks.upstream import BlockRegistry
from sdg_prefect.errors import ConservationError, FlowError
from sdg_prefect.rows import ROW_ID
from sdg_prefect.testing import check_block, run_block

ROWS = [{"text": "a b c", "n": 1}, {"text": "d", "n": 2}, {"text": "e f", "n": 3}]


@block("Test.CountWords")
class CountWords:
    """Count words, one row at a time."""

    row_local = True

    def __init__(self, block_name: str, column: str, output_col: str = "words") -> None:
        self.block_name, self.column, self.output_col = block_name, column, output_col

    def generate(self, samples: Dataset, **gen_kwargs: Any) -> Dataset:
        factor = gen_kwargs.get("factor", 1)
        return samples.map(lambda row: {**row, self.output_col: factor * len(row[self.column].split())})


@BlockRegistry.register("Test.KeepLong")
class KeepLong(UpstreamBase):
    """Keep rows of several words."""

    def __init__(self, block_name: str, at_least: int, **batch_kwargs: Any) -> None:
        super().__init__(block_name=block_name)
        self.at_least, self.batch_kwargs = at_least, batch_kwargs

    def generate(self, samples: Dataset) -> Dataset:
        assert self.block_name == "mine"
        return samples.filter(lambda row: len(row["text"].split()) >= self.at_least)


@block("Test.Own")
class Own(Block):
    """One of our blocks with the method of sdg_hub's."""

    suffix: str
    """What is added."""

    def generate(self, samples: Dataset, **_: Any) -> Dataset:
        return samples.map(lambda row: {**row, "text": row["text"] + self.suffix})


@block("Test.OwnDouble")
class OwnDouble(Own):
    """A subclass with a ``generate`` of its own."""

    def generate(self, samples: Dataset, **_: Any) -> Dataset:
        return samples.map(lambda row: {**row, "text": row["text"] + self.suffix * 2})


@block("Test.Told")
class Told(Block):
    """One that says itself what it is."""

    scope = "row"
    leaves_out = "deduplicated"

    def generate(self, samples: Dataset) -> Dataset:
        return samples.select(range(min(1, len(samples))))

    def columns_after(self, before: Columns) -> Columns:
        return before


@block("Test.Anew")
class Anew:
    """Builds its rows anew, as many as it is told, and loses the ids."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def generate(self, samples: Dataset) -> Dataset:
        return Dataset.from_list([{"row": number} for number in range(self.rows)])


def make(name: str, **fields: Any) -> Block:
    cls = find_block(name)
    assert cls is not None
    return cls.model_validate({"block_name": "mine", **fields})


def test_a_class_with_generate_works_row_by_row_if_it_says_so() -> None:
    step = make("Test.CountWords", column="text", gen_kwargs={"factor": 10})
    result = run_block(step, ROWS, shard_size=1)
    assert ([row["words"] for row in result.rows], step.scope) == ([30, 10, 20], "row")
    assert result.parents == run_block(step, ROWS).parents


def test_a_class_with_generate_keeps_to_the_standards() -> None:
    assert check_block(make("Test.CountWords", column="text"), ROWS, elsewhere=False) == []


def test_the_fields_are_the_parameters_of_the_constructor() -> None:
    with pytest.raises(ValidationError, match="column"):
        make("Test.CountWords")
    with pytest.raises(ValidationError, match="colum"):
        make("Test.CountWords", colum="text", column="text")
    assert make("Test.KeepLong", at_least=2, num_procs=8).model_dump()["num_procs"] == 8


def test_a_class_of_sdg_hub_sees_all_rows_and_what_it_leaves_out_is_filtered() -> None:
    step = make("Test.KeepLong", at_least=2)
    result = run_block(step, ROWS)
    assert (step.scope, [row["n"] for row in result.rows]) == ("all", [1, 3])
    assert (result.counts.filtered, result.counts.gave_rows) == (1, 2)


def test_what_a_class_with_generate_reads_and_writes_is_not_known() -> None:
    assert make("Test.KeepLong", at_least=2).columns_after(Columns(("a",))) == Columns((), open=True)


def test_one_of_our_blocks_may_have_generate() -> None:
    step = make("Test.Own", suffix="!")
    assert [row["text"] for row in run_block(step, ROWS).rows] == ["a b c!", "d!", "e f!"]
    assert (step.scope, step.leaves_out, step.makes_rows, step.is_opaque) == ("all", "filtered", True, True)


def test_a_subclass_runs_its_own_generate() -> None:
    assert run_block(make("Test.OwnDouble", suffix="!"), ROWS[:1]).rows[0]["text"] == "a b c!!"


def test_what_a_block_says_of_itself_is_kept() -> None:
    step = make("Test.Told")
    assert (step.scope, step.leaves_out, step.is_opaque) == ("row", "deduplicated", False)
    assert run_block(step, ROWS).counts.deduplicated == 2


def test_a_wrapped_class_pickles_and_copies() -> None:
    step = make("Test.KeepLong", at_least=2, num_procs=8)
    assert pickle.loads(pickle.dumps(step)) == step == copy.deepcopy(step)
    assert pickle.loads(pickle.dumps(step)).key({}) == step.key({})


def test_the_source_of_a_users_block_is_in_its_key() -> None:
    class Shouted(Own):
        """Another source under the same type name."""

    mine, shouted = make("Test.Own", suffix="!"), Shouted(block_name="mine", suffix="!")
    assert mine.type_name == shouted.type_name
    assert mine.key({}) != shouted.key({})
    assert find_block("RenameColumns").model_validate({"block_name": "r", "columns_map": {"a": "b"}}).source_key() == ""  # type: ignore[union-attr]


def test_a_class_without_source_has_a_key_too() -> None:
    scope: dict[str, Any] = {}
    exec("class Typed:\n    def generate(self, samples):\n        return samples", scope)
    typed = block("Test.Typed")(scope["Typed"])
    assert typed is scope["Typed"]
    assert make("Test.Typed").key({})


def test_as_many_rows_without_ids_are_taken_to_be_the_same_rows() -> None:
    result = run_block(make("Test.Anew", rows=3), ROWS)
    assert (result.counts.gave_rows, result.counts.filtered, result.logs) == (3, 0, ())


@pytest.mark.parametrize(("rows", "gave", "filtered"), [(0, 0, 3), (1, 1, 2), (5, 3, 0)])
def test_rows_without_ids_are_accounted_for_and_told_of(rows: int, gave: int, filtered: int) -> None:
    result = run_block(make("Test.Anew", rows=rows), ROWS)
    assert (result.counts.rows_out, result.counts.gave_rows, result.counts.filtered) == (rows, gave, filtered)
    assert len(set(result.ids)) == rows
    assert bool(result.logs) is bool(rows)


def test_a_class_with_generate_is_not_asked_about_no_rows() -> None:
    assert run_block(make("Test.Anew", rows=2), []).rows == []
    assert run_block(make("Test.Own", suffix="!"), []).rows == []


def test_rows_out_of_nothing_are_refused() -> None:
    class Creates(Block):
        """Makes rows of none."""

        def run(self, rows: Dataset, context: Context) -> Dataset:
            return Dataset.from_list([{"a": 1}, {"a": 2}])

    with pytest.raises(ConservationError, match="made 2 rows of none"):
        run_block(Creates(block_name="mine"), [])


def test_what_a_block_raises_reaches_the_author() -> None:
    with pytest.raises(AttributeError, match="split"):
        run_block(make("Test.CountWords", column="n"), ROWS)


class Careless(Block):
    """Does to its rows what it is told."""

    how: str
    """What it does."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        if self.how == "lose":
            return rows.select([0])
        if self.how == "invent":
            return rows.map(lambda row: {**row, ROW_ID: row[ROW_ID] + "x"})
        if self.how == "repeat":
            return concatenate_datasets([rows, rows.select([1])])
        context.reject(0, "Bad", "not good")
        return rows if self.how == "reject and give" else rows.select([1, 2])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("lose", "lost 2 of 3 rows without a word. A block that leaves rows out on purpose says so"),
        ("invent", r"gave 3 row\(s\) with an id that none of its rows has"),
        ("reject and give", r"rejected 1 row\(s\) that it also gave"),
    ],
)
def test_a_block_that_breaks_the_law_of_rows_is_stopped(how: str, message: str) -> None:
    with pytest.raises(ConservationError, match=message):
        run_block(Careless(block_name="mine", how=how), ROWS)


def test_a_rejected_row_keeps_its_content_and_reason() -> None:
    (reject,) = run_block(Careless(block_name="mine", how="reject"), ROWS).rejects
    assert (reject.row, reject.error, reject.message) == (ROWS[0], "Bad", "not good")


def test_a_row_given_twice_gets_two_ids_and_the_others_keep_theirs() -> None:
    result = run_block(Careless(block_name="mine", how="repeat"), ROWS)
    assert (len(set(result.ids)), result.ids[0], result.ids[2]) == (4, result.parents[0], result.parents[2])


def test_a_class_that_is_no_block_is_refused() -> None:
    class Nothing:
        pass

    with pytest.raises(FlowError, match=r"Nothing has neither run\(rows, context\) nor generate"):
        block("Test.Nothing")(Nothing)


def test_a_name_is_registered_once() -> None:
    class RenameColumns(Block):
        """Another class under a known name."""

    with pytest.raises(FlowError, match="'RenameColumns' is registered twice"):
        block("RenameColumns")(RenameColumns)
    assert block("Test.CountWords")(CountWords) is CountWords


def test_a_block_without_run_says_so() -> None:
    class Idle(Block):
        """Does nothing."""

    with pytest.raises(TypeError, match="has no run method"):
        run_block(Idle(block_name="idle"), ROWS)
