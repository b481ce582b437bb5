"""Score an answer, or its steps, with a reward model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.asking import NoRequest, responses_in
from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.judges import Fault, is_rejected
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.rows import ids_of, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("PRMBlock")
class PRMBlock(Block):
    """Score each step of a response with a process reward model behind a vLLM pooling endpoint.

    Steps are told apart by a separator; the model sees a fill token after each and gives the chance that the step is right there.
    The output is a list of numbers from 0 to 1, one per step. See Zhang et al., "The Lessons of Developing Process Reward Models"
    (2025).
    """

    family: ClassVar[str] = "Judge and choose"
    example: ClassVar[Example] = Example(
        config={"host": "localhost", "model_name": "prm", "prompt_col": "question", "response_col": "answer"},
        rows=[{"question": "3 + 4 * 2?", "answer": "4 * 2 = 8\n\n3 + 8 = 12"}],
        replies={"3 + 8 = 12": "[0.98, 0.03]"},
        output=[{"question": "3 + 4 * 2?", "answer": "4 * 2 = 8\n\n3 + 8 = 12", "step_rewards": [0.98, 0.03]}],
    )

    host: str = Field(min_length=1)
    """Host of the server, or its whole address with ``http://``."""
    port: int | str = Field(default=8000)
    """Port of the server."""
    model_name: str = Field(min_length=1)
    """The reward model, as the server names it."""
    prompt_col: str = Field(min_length=1)
    """Column with the question."""
    response_col: str = Field(min_length=1)
    """Column with the answer to score."""
    output_col: str = "step_rewards"
    """Column that gets the list of scores."""
    system_prompt: str | None = None
    """System message before the question."""
    endpoint: str = "pooling"
    """Path of the pooling protocol on the server."""
    step_separator: str = "\n\n"
    """Stands between the steps of an answer."""
    step_fill_token: str = "<extra_0>"
    """Token that the model scores."""

    def reads(self) -> Iterable[str]:
        return (self.prompt_col, self.response_col)

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def model_ids(self) -> Iterable[str]:
        return (self._model_id,)

    @property
    def _model_id(self) -> str:
        return f"{self.model_name}@{self._address}"

    @property
    def _address(self) -> str:
        base = self.host if "://" in self.host else f"http://{self.host}"
        return f"{base.rstrip('/')}:{self.port}/{self.endpoint.strip('/')}"

    def own_endpoints(self) -> Mapping[str, Endpoint]:
        return {self._model_id: Endpoint(model=self.model_name, api_base=self._address, client="pooling")}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Score; a row whose score cannot be had is rejected."""
        import pyarrow as pa

        table = to_table(rows)
        asked = zip(
            ids_of(table), table.column(self.prompt_col).to_pylist(), table.column(self.response_col).to_pylist(), strict=True
        )
        requests = [Request(self._model_id, row_id, messages=self._messages(*texts)) for row_id, *texts in asked]
        expansion = Expansion((self.output_col,))
        for place, answer in enumerate(context.complete(requests)):
            if isinstance(answer, Failure):
                reject_failure(context, place, answer)
            else:
                self._add(expansion, place, answer, context)
        return to_dataset(expansion.table(table, pa.list_(pa.float64())))

    def _add(self, expansion: Expansion, place: int, answer: Completion, context: Context) -> None:
        said = (answer.choices[0].text if answer.choices else None) or "[]"
        try:
            expansion.add(place, [[float(score) for score in json.loads(said)]])
        except (ValueError, TypeError):
            context.reject(place, "NoScores", "the reply is no list of numbers.", raw=said, attempts=answer.attempts)

    def _messages(self, question: Any, response: Any) -> list[dict[str, str]]:
        steps = [step.strip() for step in str(response).split(self.step_separator) if step.strip()]
        answer = self.step_fill_token.join(steps) + self.step_fill_token
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return [*system, {"role": "user", "content": str(question)}, {"role": "assistant", "content": answer}]


@block("ScoreAnswer")
class ScoreAnswer(Block):
    """Score a response with a reward model; of a list of responses each different one by itself, for ``ChooseBest``.

    The model's endpoint has ``client: pooling``, and as ``api_base`` the whole address of vLLM's ``/pooling`` or ``/classify``.
    Its chat template makes the instruction and the response one text. The score is what the model gives, whatever its range.
    """

    family: ClassVar[str] = "Judge and choose"
    example: ClassVar[Example] = Example(
        config={"model_id": "reward", "instruction_col": "question", "response_col": "answer"},
        rows=[{"question": "Who dances?", "answer": "Bees."}],
        replies={"Bees.": "[1.75]"},
        output=[{"question": "Who dances?", "answer": "Bees.", "score": 1.75}],
    )

    model_id: str = Field(min_length=1)
    """The reward model, by its name under ``models:``."""
    instruction_col: str = Field(min_length=1)
    """Column with the instruction or question."""
    response_col: str = Field(min_length=1)
    """Column with the response, or with a list of them, which gives a list of scores."""
    output_col: str = Field(default="score", min_length=1)
    """Column that gets the score."""
    lists: bool = False
    """True where ``response_col`` holds lists of responses."""

    def reads(self) -> Iterable[str]:
        return (self.instruction_col, self.response_col)

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def most_tokens_per_call(self) -> int | None:
        return 0

    def calls_range(self) -> tuple[int, int, int | None]:
        return 1, 1, None if self.lists else 1

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Score; a row one of whose scores cannot be had is rejected."""
        import pyarrow as pa

        table = to_table(rows)
        asked, requests = dict[int, list[int]](), list[Request]()
        columns = (table.column(name).to_pylist() for name in self.reads())
        for place, (row_id, instruction, value) in enumerate(zip(ids_of(table), *columns, strict=True)):
            try:
                responses = responses_in(value, self.response_col, lists=self.lists)
            except NoRequest as error:
                context.reject(place, error.error, str(error))
                continue
            numbers: dict[str, int] = {}
            for sample, response in enumerate(map(str, responses)):
                if response not in numbers:
                    numbers[response] = len(requests)
                    said = [{"role": "user", "content": str(instruction)}, {"role": "assistant", "content": response}]
                    requests.append(Request(self.model_id, row_id, messages=said, sample=sample))
            asked[place] = [numbers[str(response)] for response in responses]
        scores = [_score(answer) for answer in context.complete(requests)]
        expansion = Expansion((self.output_col,))
        for place, known in asked.items():
            found = [scores[number] for number in known]
            if not is_rejected(context, place, found):
                expansion.add(place, [found if self.lists else found[0]])
        return to_dataset(expansion.table(table, pa.list_(pa.float64()) if self.lists else pa.float64()))


def _score(answer: Completion | Failure) -> float | Failure | Fault:
    if isinstance(answer, Failure):
        return answer
    said = (answer.choices[0].text if answer.choices else None) or ""
    try:
        return float(json.loads(said)[-1])
    except (ValueError, IndexError, TypeError):
        return Fault("NoScore", "there is no number in the reply of the reward model.", said)
