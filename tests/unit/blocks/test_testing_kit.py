"""The kit for block authors finds what is wrong with a block."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
import pytest
from datasets import Dataset

from sdg_prefect.blocks import Block, Columns, Context, block
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table
from sdg_prefect.testing import NoReply, check_block, run_block

ROWS = [{"text": "a", "z": 1}, {"text": "b", "z": 2}, {"text": "a", "z": 3}]
PROMPT = {"messages": [{"role": "user", "content": "About {{ text }}"}], "start_tags": [""], "end_tags": [""]}


def ask(**gen_kwargs: Any) -> LLMBlock:
    return LLMBlock.model_validate(
        {"block_name": "ask", "config_path": PROMPT, "output_cols": ["a"], "model_id": "m", "gen_kwargs": gen_kwargs}
    )


@block("Test.Good")
class Good(Block):
    """Writes a number drawn for each row."""

    output_col: str = "number"
    """Column that gets the number."""

    def reads(self) -> list[str]:
        return ["text"]

    def writes(self) -> list[str]:
        return [self.output_col]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        table = to_table(rows)
        texts = table.column("text").to_pylist()
        drawn = [f"{text}{context.random(row_id).random()}" for text, row_id in zip(texts, ids_of(table), strict=True)]
        return to_dataset(set_column(table, self.output_col, pa.array(drawn, pa.string())))


class Bad(Good):
    undocumented: int = 1

    calls: ClassVar[list[int]] = []


class WritesMore(Good):
    """Says less than it writes."""

    def writes(self) -> list[str]:
        return []


class ReadsMore(Good):
    """Says less than it reads."""

    def reads(self) -> list[str]:
        return []


class LooksAround(Good):
    """Looks at the other rows of its shard."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        table = to_table(rows)
        return to_dataset(set_column(table, self.output_col, pa.array([table.num_rows] * table.num_rows, pa.int64())))


class Turns(Good):
    """Turns the order of its rows."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        made = super().run(rows, context)
        return made.select(range(len(made) - 1, -1, -1))


class Counts(Good):
    """Counts how often it ran."""

    calls: ClassVar[list[int]] = []

    def run(self, rows: Dataset, context: Context) -> Dataset:
        self.calls.append(1)
        return super().run(rows, context).map(lambda row: {**row, self.output_col: str(len(self.calls))})


def findings(cls: type[Block]) -> list[str]:
    return [finding for finding in check_block(cls(block_name="mine"), ROWS, elsewhere=False) if "not registered" not in finding]


def test_a_good_block_has_no_findings() -> None:
    assert check_block(Good(block_name="mine"), ROWS, elsewhere=False) == []


def test_what_is_undocumented_or_not_registered_is_found() -> None:
    assert check_block(Bad(block_name="mine"), ROWS, elsewhere=False) == [
        "Bad is not registered: put @block('Name') above the class.",
        "Bad has no docstring.",
        "the field 'undocumented' has no docstring under it.",
    ]


@pytest.mark.parametrize(
    ("cls", "finding"),
    [
        (WritesMore, "it says that it leaves the columns text, z, but it leaves text, z, number."),
        (ReadsMore, "it fails without the columns that it does not name in reads(): KeyError"),
        (LooksAround, "it gives other rows when they are cut into other shards, although it is row-local."),
        (Turns, "its rows are not in the order of their input rows."),
        (Counts, "it gives other rows when it runs again."),
    ],
)
def test_a_block_that_does_other_than_it_says_is_found(cls: type[Block], finding: str) -> None:
    assert any(found.startswith(finding) for found in findings(cls))


def test_a_block_that_cannot_go_to_another_process_is_found() -> None:
    class Local(Good):
        """Lives in a function."""

    assert any(found.startswith("it does not pickle") for found in check_block(Local(block_name="mine")))


class Asks(Good):
    """Asks for each row, and keeps what comes."""

    def model_ids(self) -> list[str]:
        return ["m"]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        table = to_table(rows)
        answers = context.complete([self.asked(row_id) for row_id in ids_of(table)])
        said = [self.said(answer) for answer in answers]
        return to_dataset(set_column(table, self.output_col, pa.array(said, pa.string())))

    def asked(self, row_id: str) -> Request:
        return Request("m", row_id, prompt="hi")

    def said(self, answer: Completion | Failure) -> str | None:
        return answer.choices[0].text if isinstance(answer, Completion) else None


class LooksAtTheLedger(Asks):
    """Says whether a reply was there."""

    def said(self, answer: Completion | Failure) -> str | None:
        return str(answer.replayed) if isinstance(answer, Completion) else None


class AsksAnew(Asks):
    """Asks something else each time."""

    times: ClassVar[list[int]] = []

    def asked(self, row_id: str) -> Request:
        self.times.append(1)
        return Request("m", row_id, prompt="hi", sample=len(self.times))


@pytest.mark.parametrize(
    ("cls", "finding"),
    [
        (Asks, ""),
        (LooksAtTheLedger, "it gives other rows when it was stopped and goes on with the replies that were kept."),
        (AsksAnew, "it pays for replies again when it was stopped and goes on."),
    ],
)
def test_a_block_that_a_stop_harms_is_found(cls: type[Block], finding: str) -> None:
    block = cls(block_name="mine")
    found = [one for one in check_block(block, ROWS, lambda _: "yes", elsewhere=False) if "not registered" not in one]
    assert finding in found if finding else found == []


def test_rows_without_a_needed_column_are_told() -> None:
    assert check_block(Good(block_name="mine"), [{"z": 1}], elsewhere=False) == ["the rows lack columns that it reads: text."]


def test_replies_come_from_a_function_a_mapping_or_a_list() -> None:
    expected = ["A", "B", "A"]
    for replies in (lambda prompt: prompt[-1].upper(), {"About a": "A", "About b": "B"}, ["A", "B", "A"]):
        assert [row["a"] for row in run_block(ask(), ROWS, replies).rows] == expected


def test_a_text_answers_every_sample_and_a_list_each_its_own() -> None:
    assert [row["a"] for row in run_block(ask(n=2), ROWS[:1], ["x"]).rows] == ["x", "x"]
    assert [row["a"] for row in run_block(ask(n=2), ROWS[:1], [["x", "y"]]).rows] == ["x", "y"]


def test_a_prompt_without_a_reply_is_told() -> None:
    with pytest.raises(NoReply, match="About b"):
        run_block(ask(), ROWS, {"About a": "A"})
    with pytest.raises(NoReply, match="there are 1 replies, and the block asks for one more: 'About b'"):
        run_block(ask(), ROWS, ["A"])


def test_calls_tokens_and_costs_are_counted() -> None:
    told = Completion.from_record(Completion((), tokens_in=1).to_record())
    paid = Completion((), tokens_in=3, tokens_out=2, cost_usd=0.5)
    counts = run_block(ask(), ROWS, [told, paid, Failure("X", "x", transient=False)]).counts
    assert (counts.llm_calls, counts.replayed, counts.tokens_in, counts.tokens_out, counts.cost_usd) == (1, 1, 3, 2, 0.5)
    assert counts.rejected == 3


def test_a_model_that_the_block_does_not_name_is_refused() -> None:
    class AsksUnnamed(Good):
        """Asks behind one's back."""

        def run(self, rows: Dataset, context: Context) -> Dataset:
            context.complete([Request("m", "id", prompt="hi")])
            return rows

    with pytest.raises(TypeError, match=r"asks 'm' but does not name it in model_ids\(\)"):
        run_block(AsksUnnamed(block_name="mine"), ROWS, ["x"])


def test_rows_may_be_a_list_a_dataset_or_a_table_and_keep_ids_that_they_have() -> None:
    first = run_block(Good(block_name="mine"), ROWS)
    for rows in (Dataset.from_list(ROWS), Dataset.from_list(ROWS[::-1]).select([2, 1, 0]), pa.Table.from_pylist(ROWS)):
        assert run_block(Good(block_name="mine"), rows).table == first.table
    assert run_block(Good(block_name="other"), first.table).ids == first.ids


def test_random_numbers_depend_on_the_row_and_the_block_only() -> None:
    whole = run_block(Good(block_name="mine"), ROWS)
    assert run_block(Good(block_name="renamed"), ROWS, shard_size=1).rows == whole.rows
    assert len({row["number"] for row in whole.rows}) == 3
    other = run_block(Good(block_name="mine", output_col="other"), ROWS)
    assert [row["other"] for row in other.rows] != [row["number"] for row in whole.rows]


def test_columns_know_what_is_in_them() -> None:
    columns = Columns(("a", "b")).plus(["b", "c"]).minus(["a"])
    assert (columns.names, "b" in columns, "a" in columns, columns.open) == (("b", "c"), True, False, False)
