"""Have a model judge responses: one by a rubric, or two against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.judge_prompts import USUAL_RUBRIC, compare_prompt, grade_prompt, read_grade, read_verdict
from sdg_prefect.blocks.llm import DEFAULTS, Expansion, reject_failure
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import GenKwargs
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


class Judge(Block):
    """A block whose model judges by a criterion."""

    family: ClassVar[str] = "Judge and choose"

    model_id: str = Field(min_length=1)
    """The judge, by the name that ``models:`` or the endpoint knows."""
    instruction_col: str = Field(min_length=1)
    """Column with the instruction or question."""
    criterion: str = Field(default="Is the response right, helpful and to the point?", min_length=1)
    """By what is judged, in a sentence."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters, over the defaults temperature 0 and max_tokens 4096."""

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def most_tokens_per_call(self) -> int | None:
        params = {**DEFAULTS, **self.gen_kwargs}
        return int(params.get("max_completion_tokens") or params["max_tokens"]) * int(params.get("n") or 1)

    def _request(self, row_id: str, prompt: str, sample: int) -> Request:
        params = {**DEFAULTS, **self.gen_kwargs}
        return Request(self.model_id, row_id, messages=[{"role": "user", "content": prompt}], params=params, sample=sample)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row has no judgement."""

    error: str
    message: str
    raw: str = ""


@block("JudgeAnswer")
class JudgeAnswer(Judge):
    """Have a model grade a response by a rubric, with reasons; of a list of responses each by itself.

    With ``n`` above 1 in ``gen_kwargs`` the score is the mean of the grades. A row is rejected if one of its responses gets no
    grade. ``style: prometheus`` writes the prompt in the layout of the Prometheus judges (Kim et al., 2024, arXiv:2405.01535).
    """

    example: ClassVar[Example] = Example(
        config={"model_id": "judge", "instruction_col": "question", "response_col": "answer", "rubric": {1: "wrong", 2: "right"}},
        rows=[{"question": "Who dances?", "answer": "Bees."}],
        replies={"Who dances?": "<feedback>Short and right.</feedback><score>2</score>"},
        output=[{"question": "Who dances?", "answer": "Bees.", "score": 2.0, "feedback": "Short and right."}],
    )

    response_col: str = Field(min_length=1)
    """Column with the response, or with a list of them, which gives a list of scores."""
    reference_col: str | None = None
    """Column with a response that would get the highest score."""
    rubric: Mapping[int, str] = Field(default_factory=lambda: dict(USUAL_RUBRIC))
    """Score to what it means; from 1 to 5 if not given."""
    style: Literal["tags", "prometheus"] = "tags"
    """The layout of the prompt."""
    output_col: str = Field(default="score", min_length=1)
    """Column that gets the score."""
    feedback_col: str | None = "feedback"
    """Column that gets the reasons; null for none."""
    lists: bool = False
    """True where ``response_col`` holds lists of responses."""

    @model_validator(mode="after")
    def _rubric_has_scores(self) -> JudgeAnswer:
        if len(self.rubric) < 2:
            raise PydanticCustomError("rubric", "'rubric' has to have two scores at least.")
        return self

    def reads(self) -> Iterable[str]:
        return [name for name in (self.instruction_col, self.response_col, self.reference_col) if name is not None]

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.feedback_col) if name is not None]

    def asks(self) -> object:
        return [self.criterion, sorted(self.rubric.items()), self.style]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask for the grade of each response."""
        import pyarrow as pa

        table = to_table(rows)
        places, requests = self._ask(table, context)
        graded: dict[int, list[tuple[float, str]]] = {place: [] for place in places}
        for place, answer in zip(places, context.complete(requests), strict=True):
            if place not in graded:
                continue
            grade = self._grade(answer)
            if isinstance(grade, tuple):
                graded[place].append(grade)
                continue
            del graded[place]
            if isinstance(grade, Failure):
                reject_failure(context, place, grade)
            else:
                context.reject(place, grade.error, grade.message, raw=grade.raw)
        expansion = Expansion(tuple(self.writes()))
        for place, grades in graded.items():
            scores: list[Any] = [score for score, _ in grades]
            said: list[Any] = [feedback for _, feedback in grades]
            values = [scores, said] if self.lists else [scores[0], said[0]]
            expansion.add(place, values[: len(expansion.columns)])
        kinds = [pa.float64(), pa.string()]
        return to_dataset(expansion.table(table, [pa.list_(kind) if self.lists else kind for kind in kinds]))

    def _ask(self, table: pa.Table, context: Context) -> tuple[list[int], list[Request]]:
        """Make a request for each response; a row without any is rejected."""
        places, requests = [], []
        ids = ids_of(table)
        for place, row in enumerate(table.select(list(dict.fromkeys(self.reads()))).to_pylist()):
            value = row[self.response_col]
            responses = value if isinstance(value, list) else [value]
            if not responses or isinstance(value, list) != self.lists or any(one is None for one in responses):
                wanted = "a list of responses" if self.lists else "a response"
                context.reject(place, "NoResponse", f"'{self.response_col}' does not hold {wanted}.")
                continue
            for number, response in enumerate(responses):
                reference = None if self.reference_col is None else row[self.reference_col]
                said = grade_prompt(
                    str(row[self.instruction_col] or ""),
                    str(response),
                    None if reference is None else str(reference),
                    self.criterion,
                    self.rubric,
                    prometheus=self.style == "prometheus",
                )
                places.append(place)
                requests.append(self._request(ids[place], said, number))
        return places, requests

    def _grade(self, answer: Completion | Failure) -> tuple[float, str] | Failure | Fault:
        if isinstance(answer, Failure):
            return answer
        grades = [grade for choice in answer.choices if (grade := read_grade(choice.text or "", self.rubric))]
        if not grades:
            raw = (answer.choices[0].text if answer.choices else None) or ""
            return Fault("NoScore", f"there is no score from {min(self.rubric)} to {max(self.rubric)} in the reply.", raw)
        return fmean(score for score, _ in grades), grades[0][1]


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
            if first is None or second is None:
                name = self.first_col if first is None else self.second_col
                context.reject(place, "NoResponse", f"'{name}' does not hold a response.")
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
        first, second = (pc.cast(table.column(name), pa.string()) for name in (self.first_col, self.second_col))
        is_first, is_second = pc.equal(said, "first"), pc.equal(said, "second")
        nothing = pa.scalar(None, pa.string())
        chosen = pc.if_else(is_first, first, pc.if_else(is_second, second, nothing))
        rejected = pc.if_else(is_first, second, pc.if_else(is_second, first, nothing))
        for name, column in ((self.output_col, said), (self.chosen_col, chosen), (self.rejected_col, rejected)):
            if name is not None:
                table = set_column(table, name, column)
        return table


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
