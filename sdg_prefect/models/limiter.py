"""How much is sent to an address: as many calls at once as it bears, and no more in a minute than was agreed."""

from __future__ import annotations

import asyncio
import time

from sdg_prefect.awaiting import Valve
from sdg_prefect.models.completion import Completion
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.pacing import Clock, Concurrency
from sdg_prefect.models.queue import Permit, Queue
from sdg_prefect.models.rates import Rates
from sdg_prefect.models.share import Share

_OVERLOADED = ("RateLimited", "Timeout")


class Lane:
    """The calls of one model at an address, which other models may share."""

    def __init__(self, limiter: Limiter, endpoint: Endpoint, clock: Clock, queue: Queue) -> None:
        self.limiter = limiter
        self.queue = queue
        self.room: int | None = None
        """Calls that are let through before it is shut; None where it is open."""
        self.sent = 0
        self.rates = Rates(endpoint, clock)
        queue.add(self)

    def takes(self, permit: Permit) -> bool:
        """True if a call may be sent here now."""
        return self.room != 0 and self not in permit.shuns and self.limiter.is_open() and self.rates.wait(permit) == 0

    def first(self) -> Permit | None:
        """Return who is next here."""
        return None if self.room == 0 else self.queue.first_for(self)

    def grant(self, permit: Permit) -> None:
        """Let a call through."""
        permit.lane, permit.is_probe = self, self.room is not None
        if self.room is not None:
            self.room -= 1
        self.sent += 1
        permit.number = self.limiter.send()
        self.rates.take(permit)

    def leave(self, permit: Permit, outcome: Completion | CallError | None = None) -> None:
        """Give a permit back, and learn from how the call went; None where that is not known."""
        if not self.rates.are_none:
            self.rates.correct(permit, outcome)
        if outcome is not None and outcome.allowances is not None:
            self.rates.learn(outcome.allowances, permit.number, self.limiter.concurrency.sent)
        if permit.is_probe and outcome is None:
            self.room = 1
        self.limiter.leave(permit, outcome)


class Limiter:
    """Lets calls through to one address. Lives on one event loop; a permit that is not waited for any more costs nothing."""

    def __init__(self, most: int, clock: Clock = time.monotonic, share: Share | None = None, valve: Valve | None = None) -> None:
        """Prepare to let calls through.

        Args:
            most: Calls at once at most.
            clock: Tells the time in seconds.
            share: What may be open at this address and others, where other runs call them too.
            valve: Shut while nothing is to be sent anywhere; who opens it calls ``serve``.
        """
        self.most = most
        self._valve = valve or Valve()
        self._share = share
        if share is not None:
            share.add(self)
        self.concurrency = Concurrency(most, clock)
        self.open_calls = 0
        self._clock = clock
        self._resting_until = 0.0
        self._lanes: list[Lane] = []
        self._alarm: asyncio.TimerHandle | None = None

    def lane(self, endpoint: Endpoint, queue: Queue | None = None) -> Lane:
        """Open a lane for a model.

        Args:
            endpoint: The model here.
            queue: Where its calls wait, if it has lanes at other addresses too.
        """
        lane = Lane(self, endpoint, self._clock, queue or Queue())
        self._lanes.append(lane)
        return lane

    @property
    def share_free(self) -> float:
        """The part of the calls it bears at once that may be sent yet."""
        return 1.0 - self.open_calls / self.concurrency.limit

    @property
    def is_resting(self) -> bool:
        """True if the address asked to be left alone for now."""
        return bool(self._resting_until) and self._clock() < self._resting_until

    @property
    def wanted(self) -> int:
        """Calls that would be open soon if no other run called the address: room for those to come is best there before them."""
        waiting = {id(lane.queue): lane.queue.size for lane in self._lanes}
        return min(self.concurrency.reach, self.open_calls + sum(waiting.values()))

    @property
    def _has_room(self) -> bool:
        has_place = self.open_calls < self.concurrency.limit and (self._share is None or self._share.is_free)
        return has_place and self._valve.is_open

    def is_open(self) -> bool:
        """True if the address may get a call now."""
        return self._has_room and not self.is_resting

    def send(self) -> int:
        """Count a call that is let through, and number it."""
        self.open_calls += 1
        if self._share is not None:
            self._share.open_calls += 1
        return self.concurrency.send()

    def leave(self, permit: Permit, outcome: Completion | CallError | None) -> None:
        """Take a permit back, and let the next ones through."""
        if isinstance(outcome, Completion):
            self.concurrency.note_answer(self.open_calls)
        elif outcome is not None and (outcome.verdict.error in _OVERLOADED or outcome.retry_after is not None):
            rest = outcome.retry_after or 0.0
            self._resting_until = max(self._resting_until, self._clock() + rest)
            self.concurrency.note_refusal(permit.number, self.open_calls, rest)
        self.open_calls -= 1
        if self._share is None:
            self.serve()
            return
        self._share.open_calls -= 1
        self._share.serve()

    def serve(self) -> None:
        """Let through who waits, as far as may be; look again when time has passed, if that is what it takes."""
        while self._has_room and (firsts := self._firsts()):
            rest = self._resting_until - self._clock() if self._resting_until else 0.0
            waits = [max(rest, lane.rates.wait(permit)) for lane, permit in firsts]
            if (soonest := min(waits)) > 0:
                self._wake_in(soonest)
                return
            lane, permit = firsts[waits.index(soonest)]
            lane.queue.remove(permit)
            lane.grant(permit)
            assert permit.granted is not None
            permit.granted.set_result(None)
            # Models take turns.
            self._lanes.remove(lane)
            self._lanes.append(lane)

    def _firsts(self) -> list[tuple[Lane, Permit]]:
        return [(lane, permit) for lane in self._lanes if (permit := lane.first()) is not None]

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self.serve)
