"""How much a model may be asked in a minute at one endpoint: what the user says, and what the provider does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sdg_prefect.models.allowances import Allowances, Kind
from sdg_prefect.models.completion import Completion
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.pacing import Bucket, Clock


class Expected(Protocol):
    """What a call is taken to use."""

    tokens_in: float
    tokens_out: float


class Rates:
    """The allowances of one model at one endpoint. Tokens are guessed before a call, and corrected by its reply."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        """Begin with what the user says.

        Args:
            endpoint: The model, with its limits for a minute.
            clock: Tells the time in seconds.
        """
        own: dict[Kind, float | None] = {
            "requests": endpoint.requests_per_minute,
            "tokens_in": endpoint.tokens_per_minute,
            "tokens_out": endpoint.output_tokens_per_minute,
        }
        self._own: dict[Kind, Bucket] = {kind: Bucket.by_minute(limit, clock) for kind, limit in own.items() if limit is not None}
        self._told: dict[Kind, Bucket] = {}
        self.are_none = not self._own
        """True where nothing limits a call."""
        self.count_prompts = "tokens_in" in self._own
        """True if it matters how long a prompt is."""
        self._told_at = 0
        self._clock = clock
        self._replies = 0
        self._prompt_tokens = 0
        self._reply_tokens = 0

    def wait(self, permit: Expected) -> float:
        """Return the seconds until a call may be sent."""
        if self.are_none:
            return 0.0
        amounts = self._amounts(permit.tokens_in, self._usual_reply)
        return max(bucket.wait(amounts[kind]) for buckets in (self._own, self._told) for kind, bucket in buckets.items())

    def take(self, permit: Expected) -> None:
        """Take what a call is expected to use."""
        if self.are_none:
            return
        permit.tokens_out = self._usual_reply
        amounts = self._amounts(permit.tokens_in, permit.tokens_out)
        for buckets in (self._own, self._told):
            for kind, bucket in buckets.items():
                bucket.take(amounts[kind])

    def correct(self, permit: Expected, outcome: Completion | CallError | None) -> None:
        """Take what a call has used instead of what was expected; one without an answer has used a request alone."""
        tokens_in = tokens_out = 0
        if isinstance(outcome, Completion):
            tokens_in, tokens_out = outcome.tokens_in, outcome.tokens_out
            self._replies += 1
            self._prompt_tokens += tokens_in
            self._reply_tokens += tokens_out
        for kind, more in (("tokens_in", tokens_in - permit.tokens_in), ("tokens_out", tokens_out - permit.tokens_out)):
            if bucket := self._own.get(kind):  # type: ignore[call-overload]
                bucket.take(more)

    def learn(self, allowances: Allowances, number: int, sent: int) -> None:
        """Take what the provider says is left; it cannot know of the calls that were sent after the one that it answers.

        Args:
            allowances: What it says.
            number: The call that it answers; what an earlier one was told is out of date.
            sent: The number of the last call that was sent.
        """
        if number < self._told_at:
            return
        self._told_at = number
        since = self._amounts(self._usual_prompt, self._usual_reply)
        for kind, allowance in allowances.items():
            left = allowance.remaining - (sent - number) * since[kind]
            if kind not in self._told:
                self._told[kind] = Bucket(allowance.per_second, allowance.limit, self._clock)
            self._told[kind].set(allowance.per_second, allowance.limit, left)
        self.are_none = False
        self.count_prompts |= not {"tokens", "tokens_in"}.isdisjoint(self._told)

    def _amounts(self, tokens_in: float, tokens_out: float) -> Mapping[Kind, float]:
        return {"requests": 1.0, "tokens": tokens_in + tokens_out, "tokens_in": tokens_in, "tokens_out": tokens_out}

    @property
    def _usual_prompt(self) -> float:
        return self._prompt_tokens / self._replies if self._replies else 0.0

    @property
    def _usual_reply(self) -> float:
        return self._reply_tokens / self._replies if self._replies else 0.0
