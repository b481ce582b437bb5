"""How much is sent to an address: as many calls at once as it bears, and no more in a minute than was agreed."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.pacing import Bucket, Clock, Concurrency
from sdg_prefect.models.share import Share

_LETTERS = 4
"""Characters to a token, before the reply says how many it were."""
_OVERLOADED = ("RateLimited", "Timeout")


@dataclass(slots=True, eq=False)
class Permit:
    """The right to have one call open."""

    tokens_in: float
    """Taken to be in the prompt."""
    tokens_out: float = 0.0
    """Taken to be in the reply."""
    number: int = 0
    granted: asyncio.Future[None] | None = None
    """Where it has to be waited for."""
    shuns: Collection[Lane] = ()
    """Lanes where the call has just failed: it goes to others."""
    lane: Lane | None = None
    """Where the call goes, once that is known."""
    is_probe: bool = False
    """True if the call is let through to see whether the endpoint is back."""


class Queue:
    """The calls of one model that wait for any of its lanes, one for each endpoint; first come, first served."""

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.waiting: deque[Permit] = deque()
        self._counts_prompts = False

    def add(self, lane: Lane) -> None:
        """Let a lane serve those who wait."""
        self.lanes.append(lane)
        self._counts_prompts |= lane.counts_prompts

    async def enter(self, request: Request, *, again: bool = False, shuns: Collection[Lane] = ()) -> Permit:
        """Wait until a call may be sent, to the lane with the most room if there is a choice.

        Args:
            request: What is asked.
            again: True if it was sent before: it then goes before those that were not.
            shuns: Lanes that it is not for.
        """
        permit = Permit(prompt_tokens(request) if self._counts_prompts else 0.0, shuns=shuns)
        if not self.waiting and (lane := self._roomiest(permit)) is not None:
            lane.grant(permit)
            return permit
        permit.granted = asyncio.get_running_loop().create_future()
        (self.waiting.appendleft if again else self.waiting.append)(permit)
        self.serve()
        try:
            await permit.granted
        except asyncio.CancelledError:
            if not permit.granted.cancelled() and permit.lane is not None:
                # It was granted a moment before.
                permit.lane.leave(permit)
            raise
        return permit

    def serve(self) -> None:
        """Let through who waits, as far as may be."""
        for lane in self.lanes:
            lane.limiter.serve()

    def first_for(self, lane: Lane) -> Permit | None:
        """Return who is next at a lane, forgetting who does not wait any more."""
        while self.waiting and _is_over(self.waiting[0]):
            self.waiting.popleft()
        if not self.waiting or lane not in self.waiting[0].shuns:
            return self.waiting[0] if self.waiting else None
        return next((permit for permit in self.waiting if lane not in permit.shuns and not _is_over(permit)), None)

    def settle(self) -> None:
        """Let those take any lane who shun all that are open."""
        is_open = [lane for lane in self.lanes if lane.room != 0]
        for permit in self.waiting:
            if all(lane in permit.shuns for lane in is_open):
                permit.shuns = ()

    def _roomiest(self, permit: Permit) -> Lane | None:
        """Return the lane that takes a call now and has the largest share of its limit free; one to be probed comes first."""
        free = [lane for lane in self.lanes if lane.takes(permit)]
        if len(free) < 2:
            return free[0] if free else None
        return max(free, key=lambda lane: (lane.room is not None, lane.limiter.share_free, -lane.sent / lane.limiter.most))


class Lane:
    """The calls of one model at an address, which other models may share."""

    def __init__(self, limiter: Limiter, endpoint: Endpoint, clock: Clock, queue: Queue) -> None:
        self.limiter = limiter
        self.queue = queue
        self.room: int | None = None
        """Calls that are let through before it is shut; None where it is open."""
        self.sent = 0
        self._requests = _bucket(endpoint.requests_per_minute, clock)
        self._tokens_in = _bucket(endpoint.tokens_per_minute, clock)
        self._tokens_out = _bucket(endpoint.output_tokens_per_minute, clock)
        self._is_rated = bool(self._requests or self._tokens_in or self._tokens_out)
        self._replies = 0
        self._reply_tokens = 0
        self.counts_prompts = self._tokens_in is not None
        queue.add(self)

    def takes(self, permit: Permit) -> bool:
        """True if a call may be sent here now."""
        return self.room != 0 and self not in permit.shuns and self.limiter.is_open() and self.wait(permit) == 0

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
        self._take(permit)

    def leave(self, permit: Permit, outcome: Completion | CallError | None = None) -> None:
        """Give a permit back, and learn from how the call went; None where that is not known."""
        if self._is_rated:
            self._correct(permit, outcome)
        if permit.is_probe and outcome is None:
            self.room = 1
        self.limiter.leave(permit, outcome)

    def wait(self, permit: Permit) -> float:
        """Return the seconds until the model's allowances admit a call."""
        if not self._is_rated:
            return 0.0
        asked = ((self._requests, 1.0), (self._tokens_in, permit.tokens_in), (self._tokens_out, self._usual_reply))
        return max(bucket.wait(amount) for bucket, amount in asked if bucket)

    @property
    def _usual_reply(self) -> float:
        return self._reply_tokens / self._replies if self._replies else 0.0

    def _take(self, permit: Permit) -> None:
        """Take from the model's allowances what a call is expected to use."""
        if self._requests:
            self._requests.take(1.0)
        if self._tokens_in:
            self._tokens_in.take(permit.tokens_in)
        if self._tokens_out:
            permit.tokens_out = self._usual_reply
            self._tokens_out.take(permit.tokens_out)

    def _correct(self, permit: Permit, outcome: Completion | CallError | None) -> None:
        """Take what a call has used instead of what was expected; one without an answer has used a request alone."""
        has_answer = isinstance(outcome, Completion)
        tokens_in, tokens_out = (outcome.tokens_in, outcome.tokens_out) if isinstance(outcome, Completion) else (0, 0)
        if has_answer:
            self._replies += 1
            self._reply_tokens += tokens_out
        if self._tokens_in:
            self._tokens_in.take(tokens_in - permit.tokens_in)
        if self._tokens_out:
            self._tokens_out.take(tokens_out - permit.tokens_out)


class Limiter:
    """Lets calls through to one address. Lives on one event loop; a permit that is not waited for any more costs nothing."""

    def __init__(self, most: int, clock: Clock = time.monotonic, share: Share | None = None) -> None:
        """Prepare to let calls through.

        Args:
            most: Calls at once at most.
            clock: Tells the time in seconds.
            share: What may be open at this address and others, where other runs call them too.
        """
        self.most = most
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
        """Calls that would be open if no other run called the address."""
        waiting = {id(lane.queue): len(lane.queue.waiting) for lane in self._lanes}
        return min(self.concurrency.limit, self.open_calls + sum(waiting.values()))

    @property
    def _has_room(self) -> bool:
        return self.open_calls < self.concurrency.limit and (self._share is None or self._share.is_free)

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
            waits = [max(rest, lane.wait(permit)) for lane, permit in firsts]
            if (soonest := min(waits)) > 0:
                self._wake_in(soonest)
                return
            lane, permit = firsts[waits.index(soonest)]
            lane.queue.waiting.remove(permit)
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


def _bucket(per_minute: float | None, clock: Clock) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, clock)


def _is_over(permit: Permit) -> bool:
    """True if nobody waits for a permit any more."""
    return permit.granted is not None and permit.granted.done()


def prompt_tokens(request: Request) -> float:
    """Guess the tokens of a prompt from its length."""
    if isinstance(request.asked, str):
        return len(request.asked) / _LETTERS
    return sum(len(str(message.get("content") or "")) for message in request.messages or ()) / _LETTERS
