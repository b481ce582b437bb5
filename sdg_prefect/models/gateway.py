"""The gateway: every call of a run passes here, through ledger, limits and retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sdg_prefect.awaiting import all_ended
from sdg_prefect.errors import EndpointError
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.limiter import Lane, Limiter, Permit
from sdg_prefect.models.readiness import check_endpoint
from sdg_prefect.models.spending import Spending
from sdg_prefect.settings import Settings


class Ledger(Protocol):
    """Keeps every completion that was paid for, so that none is bought again."""

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of the completion under this key, if it was ever received."""
        ...

    async def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Make a completion durable; returns when it is."""
        ...


@dataclass
class _Line:
    """An open endpoint: its client and its limits."""

    endpoint: Endpoint
    lane: Lane
    opened: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Client | None = None
    """Made when the endpoint is ready: before the first call that the ledger cannot answer."""


class Gateway:
    """Turns requests into completions for one run. Lives on one event loop."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        connect: Callable[[Endpoint], Client],
        settings: Settings,
        spending: Spending | None = None,
    ) -> None:
        """Prepare a gateway; nothing is called before the first request.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            settings: Attempts, waits and the default concurrency.
            spending: Keeps the calls within a budget.
        """
        self._settings = settings
        self._spending = spending
        self._connect = connect
        self._endpoints = dict(endpoints)
        self._lines: dict[str, _Line] = {}
        self._limiters: dict[str, Limiter] = {}
        self._asked: set[asyncio.Task[Any]] = set()
        """Who waits for answers."""
        self._idle: set[asyncio.Task[Any]] = set()
        """Requests that are not at the endpoint: waiting for the limiter, for the endpoint, or for their next attempt."""
        self.is_stopped = False
        self.in_flight = 0

    @property
    def longest_call(self) -> float:
        """Seconds after which every call in flight has ended."""
        return max((endpoint.timeout for endpoint in self._endpoints.values()), default=0.0)

    def stop(self) -> None:
        """Send nothing more. Calls in flight are still waited for and kept, and what the ledger knows is still answered."""
        self.is_stopped = True
        for request in self._idle:
            request.cancel("the run is stopping")

    async def complete(
        self, requests: Sequence[Request], ledger: Ledger, on_done: Callable[[Completion | Failure], None]
    ) -> list[Completion | Failure]:
        """Answer requests, in their order.

        Args:
            requests: What to ask. Those that the ledger knows are replayed.
            ledger: Where completions are kept before anything else is done with them.
            on_done: Called once for each answer as it comes.

        Raises:
            EndpointError: An endpoint cannot serve this run; what arrived before is in the ledger.
            CancelledError: The run is stopping, and not every request was sent; the answers to the others are in the ledger.
        """

        async def answer(request: Request) -> Completion | Failure:
            result = await self._answer(request, ledger)
            on_done(result)
            return result

        mine = _current()
        self._asked.add(mine)
        try:
            # In-flight calls are paid for: when one raises, the others are waited for, not cancelled.
            return await all_ended([answer(request) for request in requests])
        finally:
            self._asked.discard(mine)

    def key_of(self, request: Request) -> str:
        """Return the key under which the completion of a request is kept."""
        return request.key(self._endpoints[request.model_id].identity)

    async def _answer(self, request: Request, ledger: Ledger) -> Completion | Failure:
        line = self._line(request.model_id)
        key = self.key_of(request)
        known = await ledger.find(key)
        if known is not None:
            return Completion.from_record(known)
        result = await self._try(line, request)
        if isinstance(result, Completion):
            await self._keep(ledger, key, result)
        return result

    async def _keep(self, ledger: Ledger, key: str, completion: Completion) -> None:
        try:
            await ledger.keep(key, completion.to_record())
        except Exception:
            # What cannot be kept would be paid for again.
            self.stop()
            raise

    async def _try(self, line: _Line, request: Request) -> Completion | Failure:
        attempt = 0
        while True:
            attempt += 1
            try:
                return (await self._call(line, request, attempt)).after(attempt)
            except CallError as error:
                verdict = error.verdict
                if verdict.reach is Reach.RUN:
                    self.stop()
                    said = f"model '{request.model_id}' ({line.endpoint.model}): {verdict.error}: {error.message}"
                    raise EndpointError(said, verdict.hint) from None
                if verdict.reach is Reach.ROW or attempt >= self._settings.call_attempts:
                    return Failure(verdict.error, error.message, verdict.reach is Reach.CALL, attempt)
            await self._wait(attempt)

    async def _wait(self, attempt: int) -> None:
        """Wait before the next attempt: exponential backoff with full jitter. What the endpoint asks for is up to the limiter."""
        ceiling = min(self._settings.call_backoff_max, self._settings.call_backoff * 2 ** (attempt - 1))
        with self._waiting():
            await asyncio.sleep(random.uniform(0, ceiling))

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Mark a wait that is not a call: it ends at once when the run stops, and none begins after."""
        if self.is_stopped:
            raise asyncio.CancelledError("the run is stopping")
        request = _current()
        self._idle.add(request)
        try:
            yield
        finally:
            self._idle.discard(request)

    async def _call(self, line: _Line, request: Request, attempt: int) -> Completion:
        """Make one attempt, once the endpoint is ready and the limiter lets it through."""
        with self._waiting():
            client = line.client or await self._open(line)
            permit = await line.lane.enter(request, again=attempt > 1)
            if self._spending is not None:
                await self._afford(self._spending, line.lane, permit)
        outcome: Completion | CallError | None = None
        self.in_flight += 1
        try:
            outcome = await client.complete(request)
        except CallError as error:
            outcome = error
            raise
        else:
            return outcome
        finally:
            self.in_flight -= 1
            line.lane.leave(permit, outcome)
            if self._spending is not None:
                self._spending.note(outcome)

    async def _afford(self, spending: Spending, lane: Lane, permit: Permit) -> None:
        """Wait until the budget admits one more call.

        Raises:
            CancelledError: It is used up, and the run is stopping.
        """
        try:
            if not await spending.affords(lambda: self.in_flight):
                self._idle.discard(_current())
                self.stop()
                raise asyncio.CancelledError("the budget is used up")
        except asyncio.CancelledError:
            lane.leave(permit)
            raise

    async def _open(self, line: _Line) -> Client:
        """Look at the endpoint and make its client, once."""
        async with line.opened:
            if line.client is None:
                try:
                    await check_endpoint(line.endpoint)
                except EndpointError:
                    # Not this request, which has its answer: the others.
                    self._idle.discard(_current())
                    self.stop()
                    raise
                line.client = await asyncio.to_thread(self._connect, line.endpoint)
            return line.client

    def _line(self, model_id: str) -> _Line:
        if model_id not in self._lines:
            endpoint = self._endpoints[model_id]
            self._lines[model_id] = _Line(endpoint, self._limiter(endpoint).lane(endpoint))
        return self._lines[model_id]

    def _limiter(self, endpoint: Endpoint) -> Limiter:
        """Return the limiter of an endpoint's address, which models that are served there share; the lowest limit counts."""
        place = _address(endpoint)
        if place not in self._limiters:
            here = [other for other in self._endpoints.values() if _address(other) == place]
            limits = [other.max_concurrency or self._settings.concurrency for other in here]
            self._limiters[place] = Limiter(min(limits))
        return self._limiters[place]

    async def close(self) -> None:
        """Give up what is still in flight, so that nobody waits for it any more, and give back all connections."""
        self.stop()
        open_still = list(self._asked)
        for asked in open_still:
            asked.cancel()
        await asyncio.gather(*open_still, return_exceptions=True)
        for line in self._lines.values():
            if line.client is not None:
                await line.client.close()


def _current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _address(endpoint: Endpoint) -> str:
    """Say where an endpoint is: its address, or the model where the provider decides."""
    return endpoint.api_base or endpoint.model
