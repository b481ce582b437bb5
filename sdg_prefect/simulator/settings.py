"""What a simulated model does: how fast it answers, how often it fails, what it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]


class SimulatorSettings(BaseModel):
    """Everything that can be set on a simulated model; the defaults answer at once and never fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    """Chooses which calls are slow and which fail."""

    latency: Seconds = 0.0
    """Seconds before a reply."""

    latency_jitter: Seconds = 0.0
    """A reply takes up to this much less or more than `latency`."""

    tail_share: Share = 0.0
    """Share of calls that take `tail_latency` instead."""

    tail_latency: Seconds = 0.0
    """Seconds before a reply in the tail."""

    error_429_share: Share = 0.0
    """Share of calls answered with 429 and a Retry-After header."""

    retry_after: Seconds = 1.0
    """Seconds named in the Retry-After header of every 429."""

    error_5xx_share: Share = 0.0
    """Share of calls answered with 500, 502 or 503."""

    timeout_share: Share = 0.0
    """Share of calls that are accepted and never answered."""

    malformed_share: Share = 0.0
    """Share of calls answered with text that has none of the tags or JSON the prompt asks for."""

    broken_json_share: Share = 0.0
    """Share of calls answered with 200 and a body that is cut in the middle."""

    refusal_share: Share = 0.0
    """Share of prompts refused by a content filter (400): a refused prompt is refused every time."""

    context_window: int | None = Field(default=None, ge=1)
    """Tokens a prompt may have; a longer one is answered with 400 `context_length_exceeded`."""

    prompt_cache_tokens: int | None = Field(default=None, ge=1)
    """When set, a prompt that begins with so many tokens of an earlier one, or more, has them reported as `cached_tokens`."""

    api_key: str | None = None
    """When set, every other bearer key is answered with 401."""

    models: tuple[str, ...] | None = None
    """When set, every other model is answered with 404 `model_not_found`."""

    quota: int | None = Field(default=None, ge=0)
    """Calls that are answered before every further one gets 429 `insufficient_quota`."""

    max_concurrency: int | None = Field(default=None, ge=1)
    """Calls that may be open at once; the ones above get 429."""

    requests_per_minute: float | None = Field(default=None, gt=0)
    """Calls in a minute, 429 beyond; replies say in `x-ratelimit-*` headers how many are left."""

    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Tokens of prompts and of the completions that they ask for (`max_tokens`) in a minute, 429 beyond; told in headers too."""

    step_fill_token: str = "<extra_0>"
    """Marks the end of a step in what a process-reward model is asked to score."""

    batch_seconds: Seconds = 0.0
    """Seconds that a batch takes."""

    batch_failed_share: Share = 0.0
    """Share of the requests in batches that fail with 500."""

    batch_expired_share: Share = 0.0
    """Share of the requests in batches that have no answer when their batch expires."""

    batch_max_requests: int = Field(default=50_000, ge=1)
    """Requests that a batch may have; a larger one fails."""

    batch_enqueued: int | None = Field(default=None, ge=1)
    """Requests in a batch above which it fails with `token_limit_exceeded`, as where an account's queue is full."""

    replies: Path | None = None
    """JSONL file of fixed replies: `{"match": text or list of texts, "reply": text or list of texts}`, or `tool_calls`, a list of
    `{"name": text, "arguments": object}`, in place of `reply`."""

    log: Path | None = None
    """File that gets one JSON line for each request."""

    record: bool = False
    """Keep the body and the times of each request in `SimulatedModel.journal`."""

    @model_validator(mode="after")
    def _shares_fit(self) -> SimulatorSettings:
        """Refuse shares of failures that add up to more than all calls."""
        total = self.error_429_share + self.error_5xx_share + self.timeout_share + self.malformed_share + self.broken_json_share
        if total > 1.0:
            raise ValueError(f"the shares of failing calls add up to {total:g}, which is more than 1")
        return self
