"""What goes to a model and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from sdg_prefect.frequencies import Sighting, bucket
from sdg_prefect.frozen import digest
from sdg_prefect.models.allowances import Allowances
from sdg_prefect.rows import well_formed

Message = Mapping[str, Any]
"""One chat message: ``role`` and ``content``, and what else the protocol allows."""

Route = Literal["chat/completions", "completions", "embeddings"]
"""Where a request goes, below the address of a server that speaks the OpenAI protocol."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a model for one row: chat messages, a raw prompt for the text completion protocol, or a text to embed."""

    model_id: str
    """The model as the flow names it."""
    row_id: str
    """The row that the call is for."""
    messages: Sequence[Message] | None = None
    prompt: str | None = None
    text: str | None = None
    """The text to embed. The completion's text is then the vector; see ``vectors``."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Sampling parameters as the OpenAI protocol names them, such as ``temperature`` or ``n``."""
    sample: int = 0
    """Tells apart several calls for one row with equal prompts."""
    shared_prefix: int = 0
    """Characters at the beginning of the messages that the calls for other rows have too; as far as it goes, contents are texts.
    It is about the price of a call only, and no part of its key."""
    block: str = ""
    """The block that asks, which the run fills in: blocks take turns where calls have to wait. No part of the key."""

    def key(self, model: str) -> str:
        """Return the key of the completion: what decides the reply, and the row it is for.

        Args:
            model: The identity of the endpoint: its model and own parameters. Not in the key: its address, key, limits, retries.
        """
        asked = self.asked if self.text is None else {"text": self.text}
        return digest(model, asked, dict(self.params), self.row_id, self.sample)

    @property
    def route(self) -> Route:
        """Where it goes."""
        if self.text is not None:
            return "embeddings"
        return "chat/completions" if self.prompt is None else "completions"

    @property
    def asked(self) -> Sequence[Message] | str | None:
        """The messages, the prompt or the text."""
        if self.text is not None:
            return self.text
        return self.messages if self.prompt is None else self.prompt


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the ``n`` answers of a call."""

    text: str | None
    finish_reason: str | None = None
    reasoning: str | None = None
    logprobs: Any = None
    """Log-probabilities as a list of ``{token: logprob}`` per position, or None."""
    tool_calls: Sequence[Mapping[str, Any]] | None = None

    def well_formed(self) -> Choice:
        """Replace halves of characters, which some servers send where a reply was cut and which no file can hold."""
        said = (self.text, self.reasoning, self.tool_calls)
        text, reasoning, tool_calls = (well_formed(part) for part in said)
        if (text, reasoning, tool_calls) == said:
            return self
        return replace(self, text=text, reasoning=reasoning, tool_calls=tool_calls)


@dataclass(frozen=True, slots=True)
class Completion:
    """The answer to a request: its choices, and what it took."""

    choices: tuple[Choice, ...]
    model: str = ""
    """The model as the server named it."""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float | None = None
    """None where no price is known."""
    seconds: float = 0.0
    attempts: int = 1
    replayed: bool = False
    """True where the ledger had it, so that nothing was paid now."""
    tokens_cached: int = 0
    """Those of ``tokens_in`` that the provider had in its cache."""
    tokens_written: int = 0
    """Those of ``tokens_in`` that it wrote to its cache, where it says so."""
    allowances: Allowances | None = field(default=None, compare=False)
    """What the provider said is left of its limits, where it did; not kept."""

    def after(self, attempts: int) -> Completion:
        """Return the completion as the answer to an attempt of this number, with texts that any file can hold."""
        choices = tuple(choice.well_formed() for choice in self.choices)
        if attempts == self.attempts and all(new is old for new, old in zip(choices, self.choices, strict=True)):
            return self
        return replace(self, attempts=attempts, choices=choices)

    def counted(self) -> dict[str, Any]:
        """Return what it adds to the ``Counts`` of its block."""
        cost = self.cost_usd
        bought = {"bought_known": False} if cost is None else {"bought_usd": cost}
        if self.replayed:
            return {"replayed": 1, **bought}
        return {
            "llm_calls": 1,
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "tokens_cached": self.tokens_cached,
            "tokens_written": self.tokens_written,
            **({"cost_known": False} if cost is None else {"cost_usd": cost}),
            **bought,
        }

    def sightings(self) -> Iterator[Sighting]:
        """Say what can be seen of it, whenever it was bought: what a report shows of all completions together."""
        yield "completions", self.model, 1
        yield "tokens_in", self.model, self.tokens_in
        yield "tokens_out", self.model, self.tokens_out
        yield "cost_nano_usd", self.model, round((self.cost_usd or 0.0) * 1e9)
        yield "seconds", bucket(self.seconds), 1
        yield "prompt_tokens", bucket(self.tokens_in), 1
        yield "reply_tokens", bucket(self.tokens_out), 1
        yield "attempts", str(self.attempts), 1
        for choice in self.choices:
            yield "finish_reason", choice.finish_reason or "not told", 1

    def to_record(self) -> dict[str, Any]:
        """Return the JSON-like record that the ledger keeps."""
        record = {name: getattr(self, name) for name in _RECORDED}
        record["choices"] = [{name: getattr(choice, name) for name in _OF_A_CHOICE} for choice in self.choices]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Completion:
        """Read a completion back from the ledger; what else the record says, such as the run that paid for it, is left out."""
        choices = tuple(Choice(**choice) for choice in record["choices"])
        mine = {each.name: record[each.name] for each in fields(cls) if each.name in record}
        return cls(**{**mine, "choices": choices, "replayed": record.get("replayed", True)})


_RECORDED = tuple(each.name for each in fields(Completion) if each.name not in ("replayed", "allowances"))
_OF_A_CHOICE = tuple(each.name for each in fields(Choice))


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no answer, after all attempts."""

    error: str
    """Class of the error, such as ``ContextWindowExceeded`` or ``RateLimited``."""
    message: str
    transient: bool
    """True where the same call may succeed later."""
    attempts: int = 1
