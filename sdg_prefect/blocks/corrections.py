"""Asking again: a model whose reply does not match, or an endpoint that refuses the form that is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.completion import Choice, Completion, Failure, Request

if TYPE_CHECKING:
    from sdg_prefect.blocks.context import Context

_WRONG = "This is not what was asked for:\n{faults}\nReply again, with the whole JSON put right and nothing else."
_FORMAT_WORDS = ("response_format", "json_schema", "guided_json", "structured_outputs", "structured output")
"""What servers name that refuse a request for the form of the reply that it asks for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the choices of an answer say."""

    values: tuple[Any, ...]
    """The value of each choice that matches the schema."""
    fault: str
    """What is wrong with the first of the others; empty where there is none."""
    faulty: Choice | None = None
    is_cut: bool = False
    """True where that choice was cut at max_tokens, so that asking again would not help."""
    unread: int = 0
    """How many others there are."""


def answers_to(requests: Sequence[Request], context: Context) -> Sequence[Completion | Failure]:
    """Ask; where the endpoint refuses the form that is asked of its reply, ask again without it."""
    answers = list(context.complete(requests))
    refused = [number for number, answer in enumerate(answers) if _is_refusal(answer)]
    if refused:
        context.log("the endpoint refuses a schema for its replies; 'json_schema: prompt' for the model spares these calls")
        again = context.complete([_without_format(requests[number]) for number in refused])
        for number, answer in zip(refused, again, strict=True):
            answers[number] = answer
    return answers


def _is_refusal(answer: Completion | Failure) -> bool:
    return (
        isinstance(answer, Failure)
        and answer.error == "BadRequest"
        and any(word in answer.message.lower() for word in _FORMAT_WORDS)
    )


def correction(request: Request, reading: Reading) -> Request:
    """Return the request that tells a model what is wrong with its reply."""
    said = reading.faulty.text if reading.faulty else None
    more = [
        {"role": "assistant", "content": said or "(nothing)"},
        {"role": "user", "content": _WRONG.format(faults=reading.fault)},
    ]
    params = {name: value for name, value in request.params.items() if name != "n"}
    return replace(request, messages=[*(request.messages or ()), *more], params=params)


def _without_format(request: Request) -> Request:
    return replace(request, params={name: value for name, value in request.params.items() if name != "response_format"})
