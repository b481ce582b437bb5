"""The gateway: every call of a run passes here, through ledger, limits and retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sdg_prefect.awaiting import all_ended
from sdg_prefect.errors import EndpointError
from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.budget import Spent
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.limiter import Lane, Permit
from sdg_prefect.models.lines import Line, Lines
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


class Gateway:
    """Turns requests into completions for one run. Lives on one event loop."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        connect: Callable[[Endpoint], Client],
        settings: Settings,
        spending: Spending | None = None,
        batches: Batches | None = None,
    ) -> None:
        """Prepare a gateway; nothing is called before the first request.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            settings: Attempts, waits and the default concurrency.
            spending: Keeps the calls within a budget.
            batches: Takes the requests for endpoints that are asked in batches.
        """
        self._settings = settings
        self._spending = spending
        self._endpoints = dict(endpoints)
        self._lines = Lines(self._endpoints, connect, settings.concurrency)
        self.batches = Batches(endpoints.values(), settings) if batches is None else batches
        self.batches.heed(lambda: bool(self.in_flight), self._afford_some)
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
        self.batches.stop()
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
        line = self._lines.to(request.model_id)
        key = self.key_of(request)
        known = await ledger.find(key)
        if known is not None:
            self.batches.in_ledger(key)
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
        self.batches.in_ledger(key)

    async def _try(self, line: Line, request: Request) -> Completion | Failure:
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

    async def _call(self, line: Line, request: Request, attempt: int) -> Completion:
        """Make one attempt, once the endpoint is ready and the limiter lets it through; in a batch, where that is the mode."""
        if line.endpoint.in_batches:
            return await self._call_in_batch(line, request)
        with self._waiting():
            client = await self._client(line)
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

    async def _call_in_batch(self, line: Line, request: Request) -> Completion:
        outcome: Completion | None = None
        try:
            with self._waiting():
                client = await self._client(line)
                outcome = await self.batches.ask(line.endpoint, client, request, self.key_of(request))
            return outcome
        finally:
            if self._spending is not None:
                self._spending.note(outcome)

    def _unanswered(self) -> int:
        return self.in_flight + self.batches.at_provider

    async def _afford_some(self, wanted: int, each: Spent) -> int:
        """Wait until the budget admits some calls of a batch; 0 if it is used up, and the run is stopping."""
        if self._spending is None:
            return wanted
        admitted = await self._spending.affords_some(wanted, each, self._unanswered)
        if not admitted:
            self.stop()
        return admitted

    async def _afford(self, spending: Spending, lane: Lane, permit: Permit) -> None:
        """Wait until the budget admits one more call.

        Raises:
            CancelledError: It is used up, and the run is stopping.
        """
        try:
            if not await spending.affords(self._unanswered):
                self._idle.discard(_current())
                self.stop()
                raise asyncio.CancelledError("the budget is used up")
        except asyncio.CancelledError:
            lane.leave(permit)
            raise

    async def _client(self, line: Line) -> Client:
        """Return the client of an endpoint, once that is ready."""
        try:
            return line.client or await self._lines.open(line)
        except EndpointError:
            # Not this request, which has its answer: the others.
            self._idle.discard(_current())
            self.stop()
            raise

    async def close(self) -> None:
        """Give up what is still in flight, so that nobody waits for it any more, and give back all connections."""
        self.stop()
        open_still = list(self._asked)
        for asked in open_still:
            asked.cancel()
        await asyncio.gather(*open_still, return_exceptions=True)
        await self.batches.close()
        await self._lines.close()


def _current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
