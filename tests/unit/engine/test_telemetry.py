"""What operators are told of calls, blocks and runs, and what is kept from them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from sdg_prefect.counts import Counts
from sdg_prefect.engine.telemetry.providers import check_telemetry, complaints_told
from sdg_prefect.engine.telemetry.run import Telemetry
from sdg_prefect.errors import BlockError, FlowError
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint, Price
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.report.progress import Silent
from sdg_prefect.settings import Settings, settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.canned import Canned, chat, error, http
from tests.unit.models.kept import Kept

PRICE = Price(input=1e6, output=2e6)
ASKED = Request("teacher", "row-1", messages=[{"role": "user", "content": "a secret question"}], block="ask",
                params={"temperature": 0.5, "max_tokens": 9, "stop": ["a secret"]})  # fmt: skip


class Told:
    """Keeps what is told."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(tracers.get_tracer("t"), MeterProvider([self._reader]).get_meter("t"), "qa")

    @property
    def spans(self) -> list[Any]:
        return list(self._spans.get_finished_spans())

    def points(self, name: str) -> list[tuple[Mapping[str, Any], Any]]:
        """Return the attributes of a measure, each with its sum."""
        data: Any = self._reader.get_metrics_data()
        found = [metric for one in data.resource_metrics for scope in one.scope_metrics for metric in scope.metrics]
        points = [point for metric in found if metric.name == name for point in metric.data.data_points]
        return [(dict(point.attributes), getattr(point, "value", getattr(point, "sum", None))) for point in points]


def ask(told: Told, *replies: bytes, **fields: Any) -> Completion | Failure:
    """Ask once, of a server that gives these replies."""

    async def run() -> Completion | Failure:
        server = Canned([http(404), *replies])  # first it is looked at
        async with server.serve() as url:
            endpoint = Endpoint(model="hosted_vllm/llama", api_base=url, price=PRICE, **fields)
            gateway = Gateway({"teacher": endpoint}, connect, Settings(call_backoff=0.0), onlooker=told.telemetry.onlooker)
            try:
                return (await gateway.complete([ASKED], Kept(), lambda _: None))[0]
            finally:
                await gateway.close()

    return asyncio.run(run())


def test_each_attempt_is_a_span_with_the_names_of_the_conventions() -> None:
    told = Told()
    assert isinstance(ask(told, error(429, "slow down, secret"), http(200, chat())), Completion)
    refused, answered = told.spans
    assert refused.name == answered.name == "chat llama"
    assert answered.kind is SpanKind.CLIENT
    assert (refused.status.status_code, answered.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert refused.attributes["error.type"] == "RateLimited"
    port = answered.attributes["server.port"]
    assert dict(answered.attributes) == {
        "sdg.flow": "qa",
        "sdg.block": "ask",
        "sdg.row.id": "row-1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "hosted_vllm",
        "gen_ai.request.model": "llama",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.response.model": "served",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert "secret" not in "".join(span.to_json() for span in told.spans)


def test_calls_latency_tokens_and_cost_are_measured_by_block_and_model() -> None:
    told = Told()
    ask(told, error(500, "oops"), http(200, chat()))
    seconds = told.points("gen_ai.client.operation.duration")
    assert sorted(named.get("error.type", "") for named, _ in seconds) == ["", "ServerError"]
    assert {(named["sdg.block"], named["gen_ai.request.model"]) for named, _ in seconds} == {("ask", "llama")}
    assert {named["gen_ai.token.type"]: sum for named, sum in told.points("gen_ai.client.token.usage")} == {
        "input": 3,
        "output": 2,
    }
    assert [cost for _, cost in told.points("sdg.cost")] == [7.0]
    assert [open_calls for _, open_calls in told.points("sdg.calls.in_flight")] == [0]


def test_batches_count_with_their_tokens_and_not_in_the_latency() -> None:
    told = Told()

    async def run() -> None:
        with SimulatedModel(SimulatorSettings()) as model:
            endpoint = Endpoint(model="m", api_base=model.url, mode="batch")
            quick = Settings(batch_quiet=0.01, batch_poll=0.01)
            gateway = Gateway({"teacher": endpoint}, connect, quick, onlooker=told.telemetry.onlooker)
            try:
                (answer,) = await gateway.complete([ASKED], Kept(), lambda _: None)
                assert isinstance(answer, Completion)
            finally:
                await gateway.close()

    asyncio.run(run())
    assert len(told.points("gen_ai.client.token.usage")) == 2
    assert (told.spans, told.points("gen_ai.client.operation.duration")) == ([], [])


def test_rows_are_counted_by_block_and_what_became_of_them() -> None:
    told = Told()
    watching = told.telemetry.beside(Silent())
    watching.call_done("ask", {"replayed": 1})
    watching.shard_done("ask", Counts(rows_in=5, rows_out=2, gave_rows=2, rejected=3), replayed=False)
    watching.shard_done("ask", Counts(rows_in=4, rows_out=4, gave_rows=4), replayed=True)
    named = {"sdg.flow": "qa", "sdg.block": "ask"}
    assert told.points("sdg.rows.rejected") == [({**named, "sdg.replayed": False}, 3)]
    assert [rows for _, rows in told.points("sdg.rows.in")] == [5, 4]
    assert told.points("sdg.calls.replayed") == [(named, 1)]
    assert told.points("sdg.rows.filtered") == []


def test_of_a_failure_only_the_class_is_told() -> None:
    told = Told()
    with pytest.raises(BlockError), told.telemetry.run("r"), told.telemetry.pipeline("main"):
        raise BlockError("block 'ask': KeyError: 'a secret value of a row'")
    inner, outer = told.spans
    assert inner.parent.span_id == outer.context.span_id
    assert [(span.attributes["error.type"], span.status.status_code) for span in told.spans] == [
        ("BlockError", StatusCode.ERROR)
    ] * 2
    assert "secret" not in inner.to_json() + outer.to_json()


def test_where_nobody_wants_to_know_nobody_is_told() -> None:
    telemetry, observer = Telemetry(), Silent()
    assert telemetry.beside(observer) is observer
    assert telemetry.onlooker is None
    with telemetry.run("r"), telemetry.pipeline("main"):
        pass


@pytest.fixture
def switched_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SDG_PREFECT_TELEMETRY", "true")
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


def test_an_exporter_that_nobody_brings_is_told_before_a_run(switched_on: pytest.MonkeyPatch) -> None:
    check_telemetry()
    switched_on.setenv("OTEL_METRICS_EXPORTER", "none")
    switched_on.setenv("OTEL_TRACES_EXPORTER", "console, zipkin")
    with pytest.raises(FlowError, match="OTEL_TRACES_EXPORTER: no installed package brings the exporter 'zipkin'"):
        check_telemetry()


def test_a_collector_that_is_gone_is_told_once() -> None:
    said: list[str] = []
    with complaints_told(said.append):
        for _ in range(3):
            logging.getLogger("opentelemetry.exporter").warning("no route to %s, trying again", "host")
            logging.getLogger("opentelemetry.exporter").error("given up")
    assert said == ["Telemetry cannot be delivered: no route to host, trying again"]
