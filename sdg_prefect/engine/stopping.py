"""The end of a run before its time: softly at first, at once when it is asked for again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sdg_prefect.engine.walking import Walk
from sdg_prefect.errors import BudgetReached
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.report.progress import Observer
from sdg_prefect.settings import settings

BY_BUDGET = BudgetReached.run_status
SUSPENDED = "suspended"
"""The status of a run of a deployment that ended for now, to be taken up again by another process."""
_PATIENCE = 10.0
"""Seconds that Prefect gets to record the end."""


class Phase(Enum):
    """How far a run is, which decides what a stop has to wait for."""

    PREPARING = 1
    """Nothing was called yet."""
    WALKING = 2
    """Shards are on their way."""
    WRITING = 3
    """Everything is there, and the output is being written: a matter of moments, which a soft stop leaves alone."""
    FINISHED = 4
    """Only Prefect has to be told."""


@dataclass
class Stop:
    """What a run does when it is asked to stop. Lives on its event loop."""

    observer: Observer
    keep: Callable[[], Awaitable[None]]
    """Keeps the report of the run as far as it came."""
    main: asyncio.Task[Any] | None = None
    """Runs the flow."""
    phase: Phase = Phase.PREPARING
    walk: Walk | None = None
    gateway: Gateway | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    deadline: float | None = None
    """When the one who waits for the run should go on without it, on the clock ``time.monotonic``."""
    status: str = "interrupted"
    """What the report of a stopped run says."""
    _ending: asyncio.Task[None] | None = None

    @property
    def is_ending(self) -> bool:
        """True if the run ends as interrupted."""
        return self._ending is not None

    def ask(self) -> None:
        """Stop softly: send nothing more, and wait a while for the calls in flight. When asked again, stop at once."""
        if not self.asked.is_set():
            self.asked.set()
            self._softly()
        else:
            self.deadline = time.monotonic() + _PATIENCE
            if self.phase is Phase.WALKING and self.walk is not None:
                self.walk.give_up()
            elif self._ending is None:
                self._ending = asyncio.ensure_future(self._end())

    def ask_softly(self) -> None:
        """Stop softly, whoever else has asked for it: two who do so independently of each other are in no hurry."""
        if not self.asked.is_set():
            self.ask()

    def ask_for_budget(self) -> None:
        """Stop softly, for nothing more may be spent."""
        if not self.asked.is_set():
            self.status = BY_BUDGET
            self.ask()

    def ask_for_suspension(self) -> None:
        """Stop softly, for somebody paused the run of a deployment."""
        if not self.asked.is_set():
            self.status = SUSPENDED
            self.ask()

    def hold(self) -> None:
        """Send nothing for now, for somebody paused the run."""
        if self.gateway is not None and not self.asked.is_set():
            self.gateway.hold()
            calls = self.gateway.in_flight
            kept = f" {calls:,} call{'s' * (calls != 1)} in flight will be kept." if calls else ""
            self.observer.say(f"paused in the UI: nothing is sent until somebody resumes the run there.{kept}")

    def release(self) -> None:
        """Go on after a pause."""
        if self.gateway is not None and self.gateway.is_held:
            self.gateway.release()
            self.observer.say("resumed in the UI; going on")

    @property
    def notice(self) -> str:
        """What there is to know of a run that does not simply go on; empty for one that does."""
        if self.asked.is_set():
            return "Stopping: nothing more is sent."
        return "Paused: nothing is sent until somebody resumes the run." if self.gateway and self.gateway.is_held else ""

    def go_on(self, phase: Phase) -> None:
        """Enter a phase.

        Raises:
            CancelledError: The run was asked to stop.
        """
        if self.is_ending:
            raise asyncio.CancelledError("the run is stopping")
        self.phase = phase

    async def ended(self) -> None:
        """Wait until the report of a stopped run is kept."""
        if self._ending is not None:
            await asyncio.shield(self._ending)

    async def unless_asked(self, wait: Coroutine[Any, Any, None]) -> None:
        """Wait for something that a run which is to stop does without."""
        waiting, asked = asyncio.ensure_future(wait), asyncio.ensure_future(self.asked.wait())
        done, left = await asyncio.wait({waiting, asked}, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        if waiting in done:
            waiting.result()

    def _softly(self) -> None:
        if self.phase is Phase.WRITING:
            self.observer.say("stopping when the output is written; Ctrl-C again to stop at once")
        elif self.phase is not Phase.FINISHED:
            self._ending = asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        if self.phase is Phase.WALKING and self.walk is not None:
            await self._drain(self.walk)
        elif self.main is not None:
            self.main.cancel()
        if self.phase is not Phase.FINISHED:
            await self.keep()
        self.deadline = time.monotonic() + _PATIENCE

    async def _drain(self, walk: Walk) -> None:
        gateway, seconds = walk.live.gateway, settings().drain_seconds
        if self.status == BY_BUDGET:
            # Nobody is in a hurry, and what is in flight will be billed.
            seconds = max(seconds, gateway.longest_call)
        walk.stop()
        calls = gateway.in_flight
        wait = f": waiting up to {seconds:g} s for {calls:,} call{'s' * (calls != 1)} in flight" if calls else ""
        why = "the budget is used up; " if self.status == BY_BUDGET else ""
        self.observer.say(f"{why}stopping{wait}; Ctrl-C {'' if why else 'again '}to stop at once")
        await walk.drain(seconds)
        if lost := gateway.in_flight:
            self.observer.say(f"{lost:,} call{'s' * (lost != 1)} in flight given up; the next run asks again")
