"""Who takes spans and measures: what the program has set up, or what the standard variables of OpenTelemetry ask for."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.threads import Threads
from sdg_prefect.errors import FlowError
from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import TracerProvider

_INSTALL = "Install it: pip install 'sdg-prefect[otel]', or unset SDG_PREFECT_TELEMETRY."
_KINDS = "'otlp', 'console', 'none', or what an installed package brings"
_LONGEST_END = 15.0
"""Seconds that a run waits at its end for what is left to be delivered."""


@dataclass(frozen=True, slots=True)
class Providers:
    """Where spans and measures go."""

    tracers: TracerProvider
    meters: MeterProvider
    ends: tuple[Callable[[], Any], ...] = ()
    """Deliver what is left, and end; none where the program does that."""

    def close(self, say: Callable[[str], None]) -> None:
        """Deliver what is left, for a bounded time.

        Args:
            say: Gets a line if that was not enough.
        """
        threads = Threads()
        _, late = wait([threads.submit(end) for end in self.ends], timeout=_LONGEST_END)
        if late:
            say("Telemetry cannot be delivered: the collector does not take it in time.")


def check_telemetry() -> None:
    """See that telemetry can be had, if it is asked for.

    Raises:
        FlowError: A library is missing, or an exporter is unknown.
    """
    if not settings().telemetry:
        return
    if find_spec("opentelemetry.sdk") is None:
        raise FlowError("SDG_PREFECT_TELEMETRY is set, but OpenTelemetry's SDK is not installed.", _INSTALL)
    for signal in ("traces", "metrics"):
        for name in _wanted(signal):
            _class(signal, name)


def providers() -> Providers:
    """Return those of the program, such as ``opentelemetry-instrument`` sets up; else new ones, of this run alone."""
    from opentelemetry import metrics, trace

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return Providers(trace.get_tracer_provider(), metrics.get_meter_provider())
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = _resource()
    # Not those of the whole program: Prefect would tell them of its runs too, with messages that may hold what rows say.
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    for name in _wanted("traces"):
        tracers.add_span_processor(BatchSpanProcessor(_made("traces", name)))
    readers = [PeriodicExportingMetricReader(_made("metrics", name)) for name in _wanted("metrics")]
    meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    return Providers(tracers, meters, (tracers.shutdown, meters.shutdown))


def _resource() -> Resource:
    """Return what tells this program from others; the variables come first."""
    from opentelemetry.sdk.resources import Resource

    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    own = {} if named else {"service.name": "sdg_prefect"}
    return Resource.create({**own, "service.version": version("sdg-prefect")})


def _wanted(signal: str) -> list[str]:
    """Return the exporters of a signal: OTLP if nothing else is said."""
    said = os.environ.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp"
    return [name for part in said.split(",") if (name := part.strip()) and name != "none"]


def _class(signal: str, name: str) -> Callable[..., Any]:
    """Find the class of an exporter among what is installed."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    if name == "otlp":
        protocols = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        protocol = next((said for one in protocols if (said := os.environ.get(one))), "")
        name = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    found = next(iter(entry_points(group=f"opentelemetry_{signal}_exporter", name=name)), None)
    if found is None:
        raise FlowError(f"{variable}: no installed package brings the exporter '{name}'.", f"It can be {_KINDS}.")
    made: Callable[..., Any] = found.load()
    return made


def _made(signal: str, name: str) -> Any:
    make = _class(signal, name)
    return make(out=sys.stderr) if name == "console" else make()  # what a run prints for programs stays apart


class _First(logging.Handler):
    """Passes on the first thing that the SDK gives up; why, it has said in its warnings before."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say
        self._why = ""
        self._has_said = False

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage().partition("\n")[0]
        if record.levelno < logging.ERROR:
            self._why = said
        elif not self._has_said:
            self._has_said = True
            self._say(f"Telemetry cannot be delivered: {self._why or said}")


@contextmanager
def complaints_told(say: Callable[[str], None]) -> Iterator[None]:
    """Tell in one line what goes wrong with the delivery, in place of a line each time.

    Args:
        say: Gets the line.
    """
    log, handler = logging.getLogger("opentelemetry"), _First(say)
    before, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before
