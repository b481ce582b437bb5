"""Have a model say which of two responses is better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import reject_failure
from sdg_prefect.blocks.judge_prompts import compare_prompt, read_verdict
from sdg_prefect.blocks.judges import Fault, Judge
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


Winner = Literal["first", "second", "tie"]


@block("JudgePair")
class JudgePair(Judge):
    """Have a model say which of two responses is better, asked twice with the two in either order.

    Judges favour what stands first (or last). So only a verdict that holds in both orders counts; where the two contradict each
    other it is a tie (Zheng et al., 2023, arXiv:2306.05685). ``chosen_col`` and ``rejected_col`` make pairs for DPO of it.
    """

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

    def asks(self) -> object:
        return self.criterion

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask in both orders, and believe what holds in both."""
        import pyarrow as pa

        table = to_table(rows)
        kept, requests = self._ask(table, context)
        orders = self.calls_per_row()
        answers = context.complete(requests)
        places: list[int] = []
        winners: list[Winner] = []
        for number, place in enumerate(kept):
            verdicts = [_verdict(answer) for answer in answers[number * orders : (number + 1) * orders]]
            fault = next((one for one in verdicts if not isinstance(one, str)), None)
            if isinstance(fault, Failure):
                reject_failure(context, place, fault)
            elif fault is not None:
                context.reject(place, fault.error, fault.message, raw=fault.raw)
            else:
                winner = _winner([one for one in verdicts if isinstance(one, str)])
                if winner != "tie" or self.ties == "keep":
                    places.append(place)
                    winners.append(winner)
        return to_dataset(self._table(table.take(pa.array(places, pa.int64())), winners))

    def _ask(self, table: pa.Table, context: Context) -> tuple[list[int], list[Request]]:
        kept, requests = [], []
        ids = ids_of(table)
        for place, row in enumerate(table.select(list(self.reads())).to_pylist()):
            first, second = row[self.first_col], row[self.second_col]
            if empty := [name for name in (self.first_col, self.second_col) if not _is_response(row[name])]:
                context.reject(place, "NoResponse", f"'{empty[0]}' does not hold a response.")
                continue
            kept.append(place)
            pairs = [(first, second), (second, first)][: self.calls_per_row()]
            for number, (one, other) in enumerate(pairs):
                said = compare_prompt(str(row[self.instruction_col] or ""), str(one), str(other), self.criterion)
                requests.append(self._request(ids[place], said, number))
        return kept, requests

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
    """Return who wins: of two verdicts the second was given with the responses the other way round."""
    meant = [{"A": "first", "B": "second"}.get(verdicts[0], "tie")]
    meant += [{"A": "second", "B": "first"}.get(verdict, "tie") for verdict in verdicts[1:]]
    if len(set(meant)) > 1:
        return "tie"
    return "first" if meant[0] == "first" else "second" if meant[0] == "second" else "tie"
