"""What judges have in common: blocks whose model judges by a criterion."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.expansion import reject_failure
from sdg_prefect.blocks.sampling import DEFAULTS, GenKwargs
from sdg_prefect.models.completion import Failure, Request

if TYPE_CHECKING:
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


def is_rejected(context: Context, row: int, judgements: Iterable[object]) -> bool:
    """Reject a row that lacks one of its judgements, for the first reason why; True if it does."""
    fault = next((one for one in judgements if isinstance(one, Failure | Fault)), None)
    if isinstance(fault, Failure):
        reject_failure(context, row, fault)
    elif fault is not None:
        context.reject(row, fault.error, fault.message, raw=fault.raw)
    return fault is not None
