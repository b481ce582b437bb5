"""Have a model grade responses by a rubric, each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.asking import NoRequest, responses_in
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.judge_prompts import USUAL_RUBRIC, grade_prompt, read_grade
from sdg_prefect.blocks.judges import Fault, Judge, is_rejected
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("JudgeAnswer")
class JudgeAnswer(Judge):
    """Have a model grade a response by a rubric, with reasons; of a list of responses each different one by itself.

    With ``n`` above 1 in ``gen_kwargs`` the score is the mean of the grades. A row is rejected if one of its responses gets no
    grade. ``style: prometheus`` writes the prompt in the layout of the Prometheus judges (Kim et al., 2024, arXiv:2405.01535).
    """

    version: ClassVar[int] = 2
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

    def calls_range(self) -> tuple[int, int, int | None]:
        return 1, 1, None if self.lists else 1

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Ask for the grade of each response."""
        import pyarrow as pa

        table = to_table(rows)
        asked, requests = self._ask(table, context)
        grades = [self._grade(answer) for answer in context.complete(requests)]
        expansion = Expansion(tuple(self.writes()))
        for place, numbers in asked.items():
            found = [grades[number] for number in numbers]
            if not is_rejected(context, place, found):
                values = [list(one) for one in zip(*(one for one in found if isinstance(one, tuple)), strict=True)]
                expansion.add(place, (values if self.lists else [value[0] for value in values])[: len(expansion.columns)])
        kinds = [pa.float64(), pa.string()]
        return to_dataset(expansion.table(table, [pa.list_(kind) if self.lists else kind for kind in kinds]))

    def _ask(self, table: pa.Table, context: Context) -> tuple[dict[int, list[int]], list[Request]]:
        """Make a request for each different response of a row; return which one is about which of its responses."""
        asked, requests = dict[int, list[int]](), list[Request]()
        ids = ids_of(table)
        for place, row in enumerate(table.select(list(dict.fromkeys(self.reads()))).to_pylist()):
            try:
                responses = responses_in(row[self.response_col], self.response_col, lists=self.lists)
            except NoRequest as error:
                context.reject(place, error.error, str(error))
                continue
            numbers: dict[str, int] = {}
            for sample, response in enumerate(map(str, responses)):
                if response not in numbers:
                    numbers[response] = len(requests)
                    requests.append(self._request(ids[place], self._prompt(row, response), sample))
            asked[place] = [numbers[str(response)] for response in responses]
        return asked, requests

    def _prompt(self, row: Mapping[str, Any], response: str) -> str:
        reference = None if self.reference_col is None else row[self.reference_col]
        return grade_prompt(
            str(row[self.instruction_col] or ""),
            response,
            None if reference is None else str(reference),
            self.criterion,
            self.rubric,
            prometheus=self.style == "prometheus",
        )

    def _grade(self, answer: Completion | Failure) -> tuple[float, str] | Failure | Fault:
        if isinstance(answer, Failure):
            return answer
        grades = [grade for choice in answer.choices if (grade := read_grade(choice.text or "", self.rubric))]
        if not grades:
            raw = (answer.choices[0].text if answer.choices else None) or ""
            return Fault("NoScore", f"there is no score from {min(self.rubric)} to {max(self.rubric)} in the reply.", raw)
        return fmean(score for score, _ in grades), grades[0][1]
