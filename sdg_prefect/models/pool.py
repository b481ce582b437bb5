"""All endpoints of a model: each call goes where there is room, away from where it failed, and not to one that is out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.health import Health, is_sick
from sdg_prefect.models.limiter import Lane, Limiter
from sdg_prefect.models.queue import Permit, Queue
from sdg_prefect.models.readiness import open_client
from sdg_prefect.settings import Settings

_GOES_ON = "The same command goes on from here when it is back."


@dataclass(eq=False)
class Line:
    """A model at one of its endpoints."""

    endpoint: Endpoint
    lane: Lane
    health: Health
    opened: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Client | None = None
    """Made when the endpoint is ready: before the first call that the ledger cannot answer."""
    failure: EndpointError | None = None
    """What to say if the endpoint is why the run ends."""
    calls: int = 0
    answers: int = 0
    is_told: bool = False
    """True if it was told that the endpoint is out."""
    alarm: asyncio.TimerHandle | None = None
    """Rings when a call may probe the endpoint."""


class Pool:
    """The endpoints of one model. Lives on one event loop."""

    def __init__(
        self,
        model_id: str,
        endpoint: Endpoint,
        limiter: Callable[[Endpoint], Limiter],
        settings: Settings,
        tell: Callable[[str], None],
    ) -> None:
        """Prepare to call a model.

        Args:
            model_id: The model as the flow names it.
            endpoint: Where it is served.
            limiter: Says what lets calls through to an endpoint.
            settings: Attempts, waits and probes.
            tell: Told when an endpoint goes out or comes back.
        """
        self._model_id = model_id
        self._tell = tell
        self._queue = Queue()
        lines = [Line(one, limiter(one).lane(one, self._queue), Health(settings)) for one in endpoint.places]
        self._lines = {line.lane: line for line in lines}

    async def enter(self, request: Request, *, again: bool, shuns: Collection[Lane]) -> Permit:
        """Wait until a call may be sent, and learn where; see ``Queue``."""
        return await self._queue.enter(request, again=again, shuns=shuns if self.takes_over(shuns) else ())

    def takes_over(self, failed: Collection[Lane], *, is_rested: bool = False) -> bool:
        """True if an endpoint is in at which a call has not just failed.

        Args:
            failed: Where it has.
            is_rested: True to pass over those that asked to be left alone for now.
        """
        others = [lane for lane, line in self._lines.items() if not line.health.is_out and lane not in failed]
        return any(not (is_rested and lane.limiter.is_resting) for lane in others)

    async def open(self, permit: Permit, connect: Callable[[Endpoint], Client]) -> bool:
        """Look at the endpoint of a permit and make its client, once; False if it cannot be called."""
        line = self._line(permit)
        if line.client is not None:
            return True
        async with line.opened:
            if line.client is None and (permit.is_probe or not line.health.is_out):
                try:
                    line.client = await open_client(line.endpoint, connect)
                except EndpointError as error:
                    self._refused(line, permit, error)
                    permit.is_probe = False  # it has told what it was for
                    return False
        return line.client is not None

    async def call(self, permit: Permit, request: Request) -> Completion:
        """Make one attempt.

        Raises:
            CallError: It failed.
        """
        line = self._line(permit)
        assert line.client is not None
        line.calls += 1
        return await line.client.complete(request)

    def endpoint(self, permit: Permit) -> Endpoint:
        """Return where a permit lets a call go."""
        return self._line(permit).endpoint

    def leave(self, permit: Permit, request: Request, outcome: Completion | CallError | None = None) -> None:
        """Give a permit back, and learn from how the call went; None where that is not known."""
        line = self._line(permit)
        # First of all: what leaves lets the next call in.
        if isinstance(outcome, CallError) and is_sick(outcome):
            self._failed(line, permit, request, outcome)
        elif outcome is not None:
            line.answers += isinstance(outcome, Completion)
            self._answered(line)
        line.lane.leave(permit, outcome)

    @property
    def is_gone(self) -> bool:
        """True if no endpoint can be called any more: all are out, and either refuse or were probed in vain."""
        return all(line.health.is_gone for line in self._lines.values())

    def failure(self) -> EndpointError:
        """Return what there is to say when no endpoint can be called any more."""
        failures = [line.failure for line in self._lines.values() if line.failure is not None]
        if len(failures) == 1:
            return failures[0]
        told = " ".join(failure.message for failure in failures)
        hints = dict.fromkeys(failure.hint for failure in failures)
        said = f"none of the {len(failures)} endpoints of model '{self._model_id}' can be called: {told}"
        return EndpointError(said, " ".join(hints))

    def tally(self) -> list[Mapping[str, Any]]:
        """Return what was sent where, for the report."""
        return [
            {"model": self._model_id, "endpoint": line.endpoint.shown_address, "calls": line.calls, "answers": line.answers}
            for line in self._lines.values()
        ]

    async def close(self) -> None:
        """Give back all connections."""
        for line in self._lines.values():
            if line.alarm is not None:
                line.alarm.cancel()
            if line.client is not None:
                await line.client.close()

    def _line(self, permit: Permit) -> Line:
        assert permit.lane is not None
        return self._lines[permit.lane]

    def _answered(self, line: Line) -> None:
        if not line.health.note_answer():
            return
        if line.alarm is not None:
            line.alarm.cancel()
        line.lane.room = None
        if line.is_told:
            line.is_told = False
            self._tell(f"{self._named(line)} is back.")
        self._queue.serve()

    def _failed(self, line: Line, permit: Permit, request: Request, failure: CallError) -> None:
        verdict = failure.verdict
        said = f"{verdict.error}: {failure.message}"
        if verdict.reach is Reach.RUN:
            told = f"model '{self._model_id}' ({line.endpoint.model}): {said}"
            self._refused(line, permit, EndpointError(told, verdict.hint))
            return
        is_last = not self.takes_over([line.lane])
        if line.health.note_failure(request.row_id, is_probe=permit.is_probe, is_last=is_last):
            how = "is gone" if verdict.error == "Unreachable" else "does not work"
            told = f"{self._named(line)} {how}: {said}. Calls of many rows failed there, and all probes since then."
            self._put_out(line, permit, EndpointError(told, f"{verdict.hint} {_GOES_ON}".lstrip()), said)

    def _refused(self, line: Line, permit: Permit, failure: EndpointError) -> None:
        line.failure = failure
        if line.health.note_refusal(is_probe=permit.is_probe):
            self._put_out(line, permit, failure, failure.message)

    def _put_out(self, line: Line, permit: Permit, failure: EndpointError, said: str) -> None:
        """Shut a lane until the next probe."""
        line.failure = failure
        line.lane.room = 0
        self._queue.settle()
        if self.is_gone:
            return
        if not line.is_told:
            line.is_told = True
            who = "others take its calls" if self.takes_over([]) else "its calls wait"
            self._tell(f"{self._named(line)} is out, {who}: {said}")
        line.alarm = asyncio.get_running_loop().call_later(line.health.pause(), self._probe, line)

    def _probe(self, line: Line) -> None:
        """Let one call through."""
        line.lane.room = 1
        self._queue.serve()

    def _named(self, line: Line) -> str:
        return f"endpoint {line.endpoint.shown_address} of model '{self._model_id}'"
