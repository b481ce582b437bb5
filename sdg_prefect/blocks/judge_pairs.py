"""Have a model say which of two responses is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.judge_prompts import compare_prompt, read_verdict
from sdg_prefect.blocks.judges import Fault, Judge, is_rejected
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


Winner = Literal["first", "second", "tie"]

_MEANT: tuple[dict[str, Winner], ...] = ({"A": "first", "B": "second"}, {"A": "second", "B": "first"})
"""What a verdict says of the responses as they stand in the row: the first time, and with the two in the other order."""


@block("JudgePair")
class JudgePair(Judge):
    """Have a model say which of two responses is better, asked twice with the two in either order.

    Judges favour what stands first (or last). So only a verdict that holds in both orders counts; where the two contradict each
    other it is a tie (Zheng et al., 2023, arXiv:2306.05685). Responses that say the same, letter for letter, are a tie for which
    nobody is asked. ``chosen_col`` and ``rejected_col`` make pairs for DPO of it.
    """

    version: ClassVar[int] = 2
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"model_id": "judge", "instruction_col": "question", "first_col": "a", "second_col": "b"},
        rows=[{"question": "Who dances?", "a": "Cows.", "b": "Bees."}],
        replies={"Response A\nCows.": "<verdict>B</verdict>", "Response A\nBees.": "<verdict>A</verdict>"},
        output=[{"question": "Who dances?", "a": "Cows.", "b": "Bees.", "winner": "second"}],
    )

    first_col: str = Field(min_length=1)
    """Column with a response."""
    second_col: str = Field(min_length=1)
    """Column with the other one."""
    output_col: str = Field(default="winner", min_length=1)
    """Column that gets ``first``, ``second`` or ``tie``."""
    chosen_col: str | None = None
    """Column that gets the better response; null where it is a tie."""
    rejected_col: str | None = None
    """Column that gets the other one; null where it is a tie."""
    ties: Literal["keep", "leave_out"] = "keep"
    """What becomes of rows without a winner."""
    swap: bool = True
    """False to ask once, with the first response first, at half the cost and with the judge's bias."""

    def reads(self) -> Iterable[str]:
        return dict.fromkeys((self.instruction_col, self.first_col, self.second_col))

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.chosen_col, self.rejected_col) if name is not None]

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.first_col == self.second_col:
            yield f"'{self.first_col}' is compared with itself."

    def calls_per_row(self) -> int:
        return 2 if self.swap else 1

    def calls_range(self) -> tuple[int, int, int | None]:
        return 0, self.calls_per_row(), self.calls_per_row()

    def asks(self) -> object:
        return self.criterion

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask in both orders, and believe what holds in both."""
        import pyarrow as pa

        table = to_table(rows)
        asked, requests = self._ask(table, context)
        verdicts = [_verdict(answer) for answer in context.complete(requests)]
        places: list[int] = []
        winners: list[Winner] = []
        for place, numbers in asked.items():
            found = [verdicts[number] for number in numbers]
            if not is_rejected(context, place, found):
                winner = _winner([one for one in found if isinstance(one, str)])
                if winner != "tie" or self.ties == "keep":
                    places.append(place)
                    winners.append(winner)
        return to_dataset(self._table(table.take(pa.array(places, pa.int64())), winners))

    def _ask(self, table: pa.Table, context: Context) -> tuple[dict[int, range], list[Request]]:
        """Make the requests; return for each row which ones are about it: none where its responses are equal."""
        asked, requests = dict[int, range](), list[Request]()
        ids = ids_of(table)
        for place, row in enumerate(table.select(list(self.reads())).to_pylist()):
            if empty := [name for name in (self.first_col, self.second_col) if not _is_response(row[name])]:
                context.reject(place, "NoResponse", f"'{empty[0]}' does not hold a response.")
                continue
            first, second = str(row[self.first_col]), str(row[self.second_col])
            orders = [] if first == second else [(first, second), (second, first)][: self.calls_per_row()]
            asked[place] = range(len(requests), len(requests) + len(orders))
            for number, (one, other) in enumerate(orders):
                said = compare_prompt(str(row[self.instruction_col] or ""), one, other, self.criterion)
                requests.append(self._request(ids[place], said, number))
        return asked, requests

    def _table(self, table: pa.Table, winners: Sequence[Winner]) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        said = pa.array(winners, pa.string())
        first, second = (_as_text(table.column(name)) for name in (self.first_col, self.second_col))
        is_first, is_second = pc.equal(said, "first"), pc.equal(said, "second")
        nothing = pa.scalar(None, pa.string())
        chosen = pc.if_else(is_first, first, pc.if_else(is_second, second, nothing))
        rejected = pc.if_else(is_first, second, pc.if_else(is_second, first, nothing))
        for name, column in ((self.output_col, said), (self.chosen_col, chosen), (self.rejected_col, rejected)):
            if name is not None:
                table = set_column(table, name, column)
        return table


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    # What is nested is no response, so that no row of it is left.
    return pa.nulls(len(column), pa.string()) if pa.types.is_nested(column.type) else pc.cast(column, pa.string())


def _is_response(value: Any) -> bool:
    return value is not None and not isinstance(value, list | dict)


def _verdict(answer: Completion | Failure) -> str | Failure | Fault:
    if isinstance(answer, Failure):
        return answer
    raw = (answer.choices[0].text if answer.choices else None) or ""
    return read_verdict(raw) or Fault("NoVerdict", "there is no verdict of A, B or tie in the reply.", raw)


def _winner(verdicts: Sequence[str]) -> Winner:
    """Return who wins: of two verdicts the second was given with the responses the other way round; without any it is a tie."""
    meant: set[Winner] = {_MEANT[number].get(verdict, "tie") for number, verdict in enumerate(verdicts)}
    return meant.pop() if len(meant) == 1 else "tie"
