"""Score the steps of an answer with a process reward model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.llm import Expansion, reject_failure
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Failure, Request
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
                expansion.add(place, [json.loads(answer.choices[0].text or "[]")])
        return to_dataset(expansion.table(table, pa.list_(pa.float64())))

    def _messages(self, question: Any, response: Any) -> list[dict[str, str]]:
        steps = [step.strip() for step in str(response).split(self.step_separator) if step.strip()]
        answer = self.step_fill_token.join(steps) + self.step_fill_token
        system = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        return [*system, {"role": "user", "content": str(question)}, {"role": "assistant", "content": answer}]
