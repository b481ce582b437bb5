"""A run as operators see it: spans of the run, its pipelines and its shards, and what came through each block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Meter, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, Span, StatusCode, Tracer

from sdg_prefect.counts import Counts
from sdg_prefect.engine.telemetry.calls import CallsTold
from sdg_prefect.engine.telemetry.providers import complaints_told, providers
from sdg_prefect.models.onlooker import Onlooker
from sdg_prefect.report.progress import Everyone, Observer, Silent
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from sdg_prefect.plan.plan import Step
    from sdg_prefect.store.checkpoints import Checkpoint

_FATES = ("rows_in", "rows_out", "filtered", "deduplicated", "rejected")


class Telemetry:
    """Tells of one run. Where nobody wants to know, spans are OpenTelemetry's own that do nothing."""

    def __init__(self, tracer: Tracer | None = None, meter: Meter | None = None, flow: str = "") -> None:
        """Begin to tell.

        Args:
            tracer: Takes spans; None where nobody wants to know.
            meter: Takes measures.
            flow: Name of the flow.
        """
        self._is_on = tracer is not None
        self._tracer = tracer or NoOpTracerProvider().get_tracer("")
        self._flow = flow
        self._meter = meter or NoOpMeterProvider().get_meter("")
        self._run: Span | None = None
        self._runs = self._meter.create_counter("sdg.runs", "{run}", "Runs that have ended, by status.")

    @property
    def onlooker(self) -> Onlooker | None:
        """Who is told of calls."""
        return CallsTold(self._tracer, self._meter, self._flow) if self._is_on else None

    def beside(self, observer: Observer) -> Observer:
        """Return an observer that tells this one, and counts what comes through the blocks."""
        return Everyone(observer, BlocksTold(self._meter, self._flow)) if self._is_on else observer

    @contextmanager
    def run(self, run_id: str) -> Iterator[None]:
        """Be within a run."""
        with self._within(f"run {self._flow}", {"sdg.flow": self._flow, "sdg.run.id": run_id}) as self._run:
            yield

    def ended(self, report: RunReport | None) -> None:
        """Say how the run has ended; without a report it has not."""
        if report is None:
            return
        self._runs.add(1, {"sdg.flow": self._flow, "sdg.status": report.status})
        if self._run is not None:
            rows = {"in": report.rows_in, "out": report.rows_out, "rejected": report.total.rejected}
            self._run.set_attributes({f"sdg.rows.{name}": count for name, count in rows.items()})
            self._run.set_attribute("sdg.status", report.status)
            if report.error:
                self._run.set_status(StatusCode.ERROR)

    @contextmanager
    def pipeline(self, name: str) -> Iterator[None]:
        """Be within a pipeline."""
        with self._within(f"pipeline {name}", {"sdg.flow": self._flow, "sdg.pipeline": name}):
            yield

    @contextmanager
    def shard(self, step: Step, place: str, run_id: str) -> Iterator[Callable[[Checkpoint], None]]:
        """Be within a block at work on a shard; give who is told what came of it.

        Args:
            step: The block.
            place: Which of the shards, such as ``[2/12]``.
            run_id: The run.
        """
        named = {"sdg.flow": self._flow, "sdg.block": step.label, "sdg.block.type": step.block.type_name, "sdg.shard": place}
        with self._within(f"block {step.label}", named) as span:

            def made(checkpoint: Checkpoint) -> None:
                counts = checkpoint.counts
                rows = {f"sdg.rows.{_shown(name)}": getattr(counts, name) for name in _FATES}
                span.set_attributes({**rows, "sdg.replayed": checkpoint.run_id != run_id})

            yield made

    @contextmanager
    def _within(self, name: str, attributes: dict[str, str]) -> Iterator[Span]:
        """Be within a span. Of a failure only the class is told: its message may hold what a row says."""
        begun = self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )
        with begun as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise


class BlocksTold(Silent):
    """An observer that counts rows and replayed replies by block."""

    def __init__(self, meter: Meter, flow: str) -> None:
        self._flow = flow
        self._replayed = meter.create_counter(
            "sdg.calls.replayed", "{call}", "Replies that the ledger had, so that none was bought."
        )
        self._rows = {name: meter.create_counter(f"sdg.rows.{_shown(name)}", "{row}", _SAYS[name]) for name in _FATES}

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        """Count a reply that was there."""
        if replayed := counted.get("replayed"):
            self._replayed.add(replayed, {"sdg.flow": self._flow, "sdg.block": block})

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """Count the rows of a shard."""
        named: dict[str, str | bool] = {"sdg.flow": self._flow, "sdg.block": block, "sdg.replayed": replayed}
        for name, counter in self._rows.items():
            if rows := getattr(counts, name):
                counter.add(rows, named)


_SAYS = {
    "rows_in": "Rows that blocks were given.",
    "rows_out": "Rows that blocks have made.",
    "filtered": "Rows that blocks left out on purpose.",
    "deduplicated": "Rows that blocks left out as duplicates.",
    "rejected": "Rows that failed.",
}


def _shown(name: str) -> str:
    return name.removeprefix("rows_")


@asynccontextmanager
async def telling_of(flow: str, run_id: str, say: Callable[[str], None]) -> AsyncIterator[Telemetry]:
    """Be within a run that is told of, if the settings ask for it; what is left is delivered at the end.

    Args:
        flow: Name of the flow.
        run_id: The run.
        say: Gets a line if telemetry cannot be delivered.
    """
    if not settings().telemetry:
        yield Telemetry()
        return
    with complaints_told(say):
        taking = providers()
        ours = ("sdg_prefect", version("sdg-prefect"))
        telemetry = Telemetry(taking.tracers.get_tracer(*ours), taking.meters.get_meter(*ours), flow)
        try:
            with telemetry.run(run_id):
                yield telemetry
        finally:
            await asyncio.to_thread(taking.close, say)
