"""A run tells a collector of itself, over OTLP and HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.conftest import Project
from tests.ports import free_port

pytestmark = pytest.mark.e2e


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """Serve a collector; give its address, and what it gets by path."""
    got: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            got[self.path].append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()


def attributes(of: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


def test_a_collector_gets_spans_and_measures_of_a_run_and_nothing_that_rows_say(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDG_PREFECT_TELEMETRY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-the-endpoint")
    settings.cache_clear()
    with collector() as (url, got):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        project.generate(project.documents(4), model.url, shard_size=2)
    sent = [ExportTraceServiceRequest.FromString(body) for body in got["/v1/traces"]]
    spans = [span for one in sent for many in one.resource_spans for scope in many.scope_spans for span in scope.spans]
    assert attributes(sent[0].resource_spans[0].resource)["service.name"] == "sdg_prefect"
    by_id = {span.span_id: span for span in spans}
    (run,) = [span for span in spans if not span.parent_span_id]
    above = [(span.name, by_id[span.parent_span_id].name) for span in spans if span is not run]
    assert (run.name, attributes(run)["sdg.status"], attributes(run)["sdg.rows.out"]) == ("run small", "completed", 4)
    assert sorted(set(above)) == [
        ("block ask", "pipeline questions"),
        ("block reply", "pipeline answers"),
        ("chat teacher", "block ask"),
        ("chat teacher", "block reply"),
        ("pipeline answers", "run small"),
        ("pipeline questions", "run small"),
    ]
    assert (above.count(("block ask", "pipeline questions")), above.count(("chat teacher", "block ask"))) == (2, 4)
    told = [ExportMetricsServiceRequest.FromString(body) for body in got["/v1/metrics"]]
    measures = {
        metric.name: metric
        for one in told
        for many in one.resource_metrics
        for scope in many.scope_metrics
        for metric in scope.metrics
    }
    assert [point.as_int for point in measures["sdg.runs"].sum.data_points] == [1]
    assert sum(point.count for point in measures["gen_ai.client.operation.duration"].histogram.data_points) == 8
    assert {attributes(point)["sdg.block"]: point.as_int for point in measures["sdg.rows.out"].sum.data_points} == {
        "ask": 4,
        "reply": 4,
    }
    everything = b"".join(body for bodies in got.values() for body in bodies)
    assert b"Island" not in everything
    assert b"key-of-the-endpoint" not in everything


def test_a_collector_that_is_gone_costs_a_line_and_no_row(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDG_PREFECT_TELEMETRY", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    settings.cache_clear()
    assert len(project.generate(project.documents(2), model.url)) == 2
    assert "Traceback" not in capfd.readouterr().err
