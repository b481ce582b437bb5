"""Ask a model for the log-probabilities of its reply."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.blocks.registry import block
from sdg_prefect.models.completion import Choice, Completion, Request

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.blocks.context import Context
    from sdg_prefect.blocks.expansion import Expansion

_TOP = 10


@block("LLMLogProbBlock")
class LLMLogProbBlock(LLMBlock):
    """Keep the log-probabilities of each reply: a list with one JSON text per token, ``{token: logprob}`` of the likeliest ones.

    The prompt is sent as raw text over the completion protocol; ``logprobs`` in ``gen_kwargs`` says how many tokens, 10 by
    default. A row whose reply has no log-probabilities is rejected.
    """

    example: ClassVar[Example] = Example(
        config={"config_path": "next.yaml", "model_id": "teacher", "output_cols": ["tokens"]},
        gen_kwargs={"max_tokens": 1, "logprobs": 2},
        files={"next.yaml": 'generation: "{{ text }}"\n'},
        rows=[{"text": "Bees make"}],
    )

    def _check_parser(self) -> None:
        """Nothing is parsed."""

    def _filled(self) -> tuple[str, ...]:
        return self.output_cols[:1]

    def _kind(self) -> pa.DataType:
        import pyarrow as pa

        return pa.list_(pa.string())

    def doubts(self, before: Columns) -> Iterable[str]:
        if len(self.output_cols) > 1:
            yield f"only the first output column, '{self.output_cols[0]}', is filled."

    def _request(self, row: Mapping[str, Any], row_id: str) -> Request:
        text = self.config_path.render_text(row)
        if self.model_prompt and "{prompt}" in self.model_prompt:
            text = self.model_prompt.replace("{prompt}", text).strip()
        params = {"temperature": 0, "max_tokens": 4096, "logprobs": _TOP, **self.gen_kwargs}
        return Request(self.model_id, row_id, prompt=text, params=params)

    def _expand(self, expansion: Expansion, place: int, answer: Completion, context: Context) -> None:
        given = [choice for choice in answer.choices if choice.logprobs is not None]
        for choice in given:
            expansion.add(place, [_positions(choice), *self._told([choice.reasoning])])
        if not given:
            context.reject(place, "NoLogprobs", "the endpoint sent no log-probabilities.", attempts=answer.attempts)


def _positions(choice: Choice) -> Sequence[str]:
    return [json.dumps(position, ensure_ascii=False) for position in choice.logprobs or ()]
