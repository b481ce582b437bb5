"""Calls as operators see them, under the names of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from opentelemetry.metrics import Meter
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.onlooker import Ended
from sdg_prefect.models.providers import SPEAKS_OPENAI, calls_for_litellm, name_at_server

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_OPERATIONS = {"chat/completions": "chat", "completions": "text_completion", "embeddings": "embeddings"}
_OF_SERVICES = {"mcp": "execute_tool", "pooling": "score"}
_SENT = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}
"""Parameters that a span tells: numbers only, for a text may be part of a prompt."""
_SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
_TOKENS = [4.0**power for power in range(14)]
"""Bounds of the buckets, as the conventions want them."""


class CallsTold:
    """Tells of each attempt at an endpoint; see ``Onlooker``. Neither prompts, replies nor messages of errors are told."""

    def __init__(self, tracer: Tracer, meter: Meter, flow: str) -> None:
        self._tracer = tracer
        self._flow = flow
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "How long attempts at an endpoint took.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens of a prompt or a reply.", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._in_flight = meter.create_up_down_counter(
            "sdg.calls.in_flight", "{call}", "Calls that were sent and have not ended."
        )
        self._cost = meter.create_counter("sdg.cost", "USD", "What calls of known price have cost.")

    def call(self, request: Request, endpoint: Endpoint) -> Ended:
        """Begin the span of a call."""
        named = self._named(request, endpoint)
        sent = {**_parameters(endpoint.all_params(request.params)), "sdg.row.id": request.row_id}
        name = f"{named['gen_ai.operation.name']} {named.get('gen_ai.request.model', '')}".rstrip()
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes={**named, **sent})
        started = time.perf_counter()
        self._in_flight.add(1, named)

        def ended(outcome: Completion | CallError | None) -> None:
            self._in_flight.add(-1, named)
            self._seconds.record(time.perf_counter() - started, {**named, **_error(outcome)})
            self._paid(named, outcome)
            span.set_attributes({**_error(outcome), **_used(outcome)})
            if not isinstance(outcome, Completion):
                span.set_status(StatusCode.ERROR)
            elif reasons := [choice.finish_reason for choice in outcome.choices if choice.finish_reason]:
                span.set_attribute("gen_ai.response.finish_reasons", reasons)
            span.end()

        return ended

    def from_batch(self, request: Request, endpoint: Endpoint, outcome: Completion | CallError) -> None:
        """Count what it took. How long a batch takes is no latency."""
        self._paid(self._named(request, endpoint), outcome)

    def _paid(self, named: Attributes, outcome: Completion | CallError | None) -> None:
        if not isinstance(outcome, Completion):
            return
        self._tokens.record(outcome.tokens_in, {**named, "gen_ai.token.type": "input"})
        self._tokens.record(outcome.tokens_out, {**named, "gen_ai.token.type": "output"})
        if outcome.cost_usd:
            self._cost.add(outcome.cost_usd, named)

    def _named(self, request: Request, endpoint: Endpoint) -> Attributes:
        """Return what tells calls apart in measures: few values each."""
        named: dict[str, str | int] = {"sdg.flow": self._flow, "sdg.block": request.block}
        named["gen_ai.operation.name"] = _operation(request, endpoint)
        named["gen_ai.provider.name"] = _provider(endpoint)
        if not endpoint.is_service:
            named["gen_ai.request.model"] = name_at_server(endpoint.model)
        server = urlsplit(endpoint.api_base or "")
        if server.hostname:
            named["server.address"] = server.hostname
        if server.port:
            named["server.port"] = server.port
        return named


def _operation(request: Request, endpoint: Endpoint) -> str:
    if endpoint.is_service or endpoint.client in _OF_SERVICES:
        return _OF_SERVICES.get(endpoint.client, "invoke_agent")
    return _OPERATIONS[request.route]


def _provider(endpoint: Endpoint) -> str:
    """Return who serves a model, as far as its name tells; whoever speaks the protocol of OpenAI counts as such."""
    if endpoint.is_service:
        return endpoint.agent or endpoint.client
    provider, slash, _ = endpoint.model.partition("/")
    known = endpoint.is_simulated or provider in SPEAKS_OPENAI or calls_for_litellm(endpoint.model)
    return provider if slash and known else "openai"


def _parameters(params: Mapping[str, object]) -> Attributes:
    return {_SENT[name]: value for name, value in params.items() if name in _SENT and isinstance(value, int | float)}


def _error(outcome: Completion | CallError | None) -> Attributes:
    if isinstance(outcome, Completion):
        return {}
    return {"error.type": "Cancelled" if outcome is None else outcome.verdict.error}


def _used(outcome: Completion | CallError | None) -> Attributes:
    if not isinstance(outcome, Completion):
        return {}
    return {
        "gen_ai.response.model": outcome.model,
        "gen_ai.usage.input_tokens": outcome.tokens_in,
        "gen_ai.usage.output_tokens": outcome.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": outcome.tokens_cached,
    }
