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


class Lane:
    """The calls of one model at an address, which other models may share; first come, first served."""

    def __init__(self, limiter: Limiter, endpoint: Endpoint, clock: Clock) -> None:
        self._limiter = limiter
        self._requests = _bucket(endpoint.requests_per_minute, clock)
        self._tokens_in = _bucket(endpoint.tokens_per_minute, clock)
        self._tokens_out = _bucket(endpoint.output_tokens_per_minute, clock)
        self._is_rated = bool(self._requests or self._tokens_in or self._tokens_out)
        self._replies = 0
        self._reply_tokens = 0
        self.queue: deque[Permit] = deque()

    async def enter(self, request: Request, *, again: bool = False) -> Permit:
        """Wait until a call may be sent.

        Args:
            request: What is asked.
            again: True if it was sent before: it then goes before those that were not.
        """
        permit = Permit(prompt_tokens(request) if self._tokens_in else 0.0)
        if not self.queue and self._limiter.is_open() and self.wait(permit) == 0:
            self._limiter.grant(self, permit)
            return permit
        permit.granted = asyncio.get_running_loop().create_future()
        (self.queue.appendleft if again else self.queue.append)(permit)
        self._limiter.serve()
        try:
            await permit.granted
        except asyncio.CancelledError:
            if not permit.granted.cancelled():
                # It was granted a moment before.
                self.leave(permit)
            raise
        return permit

    def leave(self, permit: Permit, outcome: Completion | CallError | None = None) -> None:
        """Give a permit back, and learn from how the call went; None where that is not known."""
        if self._is_rated:
            self._correct(permit, outcome)
        self._limiter.leave(permit, outcome)

    def wait(self, permit: Permit) -> float:
        """Return the seconds until the model's allowances admit a call."""
        if not self._is_rated:
            return 0.0
        permit.tokens_out = self._reply_tokens / self._replies if self._replies else 0.0
        asked = ((self._requests, 1.0), (self._tokens_in, permit.tokens_in), (self._tokens_out, permit.tokens_out))
        return max(bucket.wait(amount) for bucket, amount in asked if bucket)

    def take(self, permit: Permit) -> None:
        """Take from the model's allowances what a call is expected to use."""
        if self._requests:
            self._requests.take(1.0)
        if self._tokens_in:
            self._tokens_in.take(permit.tokens_in)
        if self._tokens_out:
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

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        """Prepare to let calls through.

        Args:
            most: Calls at once at most.
            clock: Tells the time in seconds.
        """
        self.concurrency = Concurrency(most, clock)
        self.open_calls = 0
        self._clock = clock
        self._resting_until = 0.0
        self._lanes: list[Lane] = []
        self._alarm: asyncio.TimerHandle | None = None

    def lane(self, endpoint: Endpoint) -> Lane:
        """Open a lane for a model."""
        lane = Lane(self, endpoint, self._clock)
        self._lanes.append(lane)
        return lane

    def is_open(self) -> bool:
        """True if the address may get a call now."""
        return self.open_calls < self.concurrency.limit and (not self._resting_until or self._clock() >= self._resting_until)

    def grant(self, lane: Lane, permit: Permit) -> None:
        """Let a call through."""
        self.open_calls += 1
        permit.number = self.concurrency.send()
        lane.take(permit)

    def leave(self, permit: Permit, outcome: Completion | CallError | None) -> None:
        """Take a permit back, and let the next ones through."""
        if isinstance(outcome, Completion):
            self.concurrency.note_answer(self.open_calls)
        elif outcome is not None and (outcome.verdict.error in _OVERLOADED or outcome.retry_after is not None):
            rest = outcome.retry_after or 0.0
            self._resting_until = max(self._resting_until, self._clock() + rest)
            self.concurrency.note_refusal(permit.number, self.open_calls, rest)
        self.open_calls -= 1
        self.serve()

    def serve(self) -> None:
        """Let through who waits, as far as may be; look again when time has passed, if that is what it takes."""
        while (lanes := self._waiting()) and self.open_calls < self.concurrency.limit:
            rest = self._resting_until - self._clock() if self._resting_until else 0.0
            waits = [max(rest, lane.wait(lane.queue[0])) for lane in lanes]
            if (soonest := min(waits)) > 0:
                self._wake_in(soonest)
                return
            lane = lanes[waits.index(soonest)]
            permit = lane.queue.popleft()
            assert permit.granted is not None
            self.grant(lane, permit)
            permit.granted.set_result(None)
            # Models take turns.
            self._lanes.remove(lane)
            self._lanes.append(lane)

    def _waiting(self) -> list[Lane]:
        for lane in self._lanes:
            while lane.queue and (granted := lane.queue[0].granted) is not None and granted.done():
                lane.queue.popleft()
        return [lane for lane in self._lanes if lane.queue]

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self.serve)


class Limiters:
    """The limiters of a run: one for each address, which the models that are served there share."""

    def __init__(self, endpoints: Collection[Endpoint], concurrency: int) -> None:
        """Prepare for the endpoints of a run.

        Args:
            endpoints: All of them; of those at one address the lowest limit counts.
            concurrency: Calls at once for an endpoint that sets no limit of its own.
        """
        self._endpoints = endpoints
        self._concurrency = concurrency
        self._by_place: dict[str, Limiter] = {}

    def lane(self, endpoint: Endpoint) -> Lane:
        """Open a lane for a model at its address."""
        place = _address(endpoint)
        if place not in self._by_place:
            here = [other for other in self._endpoints if _address(other) == place]
            self._by_place[place] = Limiter(min(other.max_concurrency or self._concurrency for other in here))
        return self._by_place[place].lane(endpoint)


def _address(endpoint: Endpoint) -> str:
    """Say where an endpoint is: its address, or the model where the provider decides."""
    return endpoint.api_base or endpoint.model


def _bucket(per_minute: float | None, clock: Clock) -> Bucket | None:
    return None if per_minute is None else Bucket(per_minute, clock)


def prompt_tokens(request: Request) -> float:
    """Guess the tokens of a prompt from its length."""
    if request.prompt is not None:
        return len(request.prompt) / _LETTERS
    return sum(len(str(message.get("content") or "")) for message in request.messages or ()) / _LETTERS
