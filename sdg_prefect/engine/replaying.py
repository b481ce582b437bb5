"""What a block asked and was told, long after: it is made again as the run had it, and the ledger answers instead of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.blocks import find_block
from sdg_prefect.engine.doing import do
from sdg_prefect.engine.rehearsal import RehearsalContext
from sdg_prefect.errors import FlowError
from sdg_prefect.frozen import digest
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.plan import Step
from sdg_prefect.store.ledger.completions import ReadLedger

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked once, and what came back."""

    request: Request
    key: str
    """The key of the completion."""
    record: Mapping[str, Any] | None
    """The completion as the ledger has it; None where it has none."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; ``replies`` are null where the ledger has no completion."""
        request = self.request
        asked = request.asked
        told = {
            "key": self.key,
            "model_id": request.model_id,
            "prompt_hash": digest(asked, size=8),
            "asked": asked,
            "params": dict(request.params),
        }
        return {**told, **({"replies": None} if self.record is None else _answer(self.record))}


def replay(
    told: Mapping[str, Any], models: Mapping[str, Any], table: pa.Table, content: str, ledger: ReadLedger
) -> list[Exchange]:
    """Let a block ask again, and answer from the ledger.

    Args:
        told: The step as the manifest of a run describes it.
        models: The models of the run, as its manifest has them.
        table: The rows that the block is given.
        content: Names the input shard of the run that they are from.
        ledger: The completions of the step.

    Raises:
        FlowError: The block is not known here, or is another one by now.
        SdgError: The block fails.
    """
    # Where a model is served is no part of a key.
    endpoints = {name: Endpoint(model=model["model"], params=model["params"]) for name, model in models.items()}
    step = _step_of(told)
    context = _Asking(step, table, content, endpoints, ledger)
    do(step, table, context)
    return context.exchanges


class _Asking(RehearsalContext):
    """A context that remembers what the block asks, and what the ledger answers."""

    def __init__(self, *context: Any) -> None:
        super().__init__(*context)
        self.exchanges: list[Exchange] = []

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Answer what the ledger knows."""
        keys = [request.key(self.endpoints[request.model_id].identity) for request in requests]
        known = self.ledger.find(self.content, keys) if self.ledger is not None else {}
        self.exchanges += [Exchange(request, key, known.get(key)) for request, key in zip(requests, keys, strict=True)]
        return super().complete(requests)


def _step_of(told: Mapping[str, Any]) -> Step:
    """Make a step again as the run had it."""
    cls = find_block(told["type"])
    if cls is None:
        raise FlowError(f"the block type '{told['type']}' is not known here.", "Name its file with --blocks.")
    changed = FlowError(
        f"the block type '{told['type']}' is not the one any more that the run had, so its prompts cannot be told."
    )
    if cls.version != told["version"]:
        raise changed
    try:
        block = cls.model_validate(told["config"])
    except ValidationError as error:
        raise changed from error
    if block.source_key() != told["source"]:
        raise changed
    return Step(told["name"], told["label"], block, told["key"], told["ledger_key"], told["scope"], when=told["when"])


def _answer(record: Mapping[str, Any]) -> dict[str, Any]:
    completion = Completion.from_record(record)
    when = record.get("at")
    replies = [
        {
            "text": choice.text,
            "reasoning": choice.reasoning,
            "tool_calls": choice.tool_calls,
            "finish_reason": choice.finish_reason,
        }
        for choice in completion.choices
    ]
    return {
        "model": completion.model,
        "replies": replies,
        "tokens_in": completion.tokens_in,
        "tokens_out": completion.tokens_out,
        "tokens_cached": completion.tokens_cached,
        "cost_usd": completion.cost_usd,
        "seconds": round(completion.seconds, 4),
        "attempts": completion.attempts,
        "at": None if when is None else datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds"),
    }
