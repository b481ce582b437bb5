"""The gateway: every call of a run passes here, through ledger, limits and retries."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sdg_prefect.awaiting import all_ended
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.health import is_sick
from sdg_prefect.models.limiter import Lane, Limiter, Permit
from sdg_prefect.models.pool import Pool
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
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare a gateway; nothing is called before the first request.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            settings: Attempts, waits and the default concurrency.
            spending: Keeps the calls within a budget.
            tell: Told when an endpoint goes out or comes back.
        """
        self._settings = settings
        self._spending = spending
        self._connect = connect
        self._tell = tell
        self._endpoints = dict(endpoints)
        self._pools: dict[str, Pool] = {}
        self._limiters: dict[tuple[str, str | None], Limiter] = {}
        self._asked: set[asyncio.Task[Any]] = set()
        """Who waits for answers."""
        self._idle: set[asyncio.Task[Any]] = set()
        """Requests that are not at the endpoint: waiting for the limiter, for the endpoint, or for their next attempt."""
        self.is_stopped = False
        self.in_flight = 0

    @property
    def longest_call(self) -> float:
        """Seconds after which every call in flight has ended."""
        return max((place.timeout for place in self._places), default=0.0)

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
        key = self.key_of(request)
        known = await ledger.find(key)
        if known is not None:
            return Completion.from_record(known)
        result = await self._try(self._pool(request.model_id), request)
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

    async def _try(self, pool: Pool, request: Request) -> Completion | Failure:
        """Call until there is an answer. An attempt is used up when the call has failed at each endpoint that is in."""
        attempt, failed, again = 1, set[Lane](), False
        while True:
            permit = await self._admit(pool, request, failed, again=again)
            outcome = await self._send(pool, permit, request)
            if isinstance(outcome, Completion):
                return outcome.after(attempt)
            if pool.is_gone:
                self.stop()
                raise pool.failure()
            verdict = outcome.verdict
            if verdict.reach is Reach.ROW:
                return Failure(verdict.error, outcome.message, transient=False, attempts=attempt)
            assert permit.lane is not None
            failed.add(permit.lane)
            # One that is only busy may have room again before another one has rested.
            if not permit.is_probe and not pool.takes_over(failed, is_rested=not is_sick(outcome)):
                if attempt >= self._settings.call_attempts:
                    return Failure(verdict.error, outcome.message, transient=True, attempts=attempt)
                await self._wait(attempt)
                attempt += 1
                failed.clear()
            # After a probe in vain others have their turn.
            again = not permit.is_probe

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

    async def _admit(self, pool: Pool, request: Request, failed: Collection[Lane], *, again: bool) -> Permit:
        """Wait until the limiter of an endpoint that is ready lets the call through, and the budget does."""
        with self._waiting():
            while True:
                permit = await pool.enter(request, again=again, shuns=failed)
                try:
                    if await pool.open(permit, self._connect):
                        if self._spending is not None:
                            await self._afford(self._spending)
                        return permit
                except BaseException:
                    pool.leave(permit, request)
                    raise
                pool.leave(permit, request)
                if pool.is_gone:
                    # Not this request, which has its answer: the others.
                    self._idle.discard(_current())
                    self.stop()
                    raise pool.failure()

    async def _send(self, pool: Pool, permit: Permit, request: Request) -> Completion | CallError:
        outcome: Completion | CallError | None = None
        self.in_flight += 1
        try:
            outcome = await pool.call(permit, request)
        except CallError as error:
            outcome = error
        finally:
            self.in_flight -= 1
            pool.leave(permit, request, outcome)
            if self._spending is not None:
                self._spending.note(outcome)
        return outcome

    async def _afford(self, spending: Spending) -> None:
        """Wait until the budget admits one more call.

        Raises:
            CancelledError: It is used up, and the run is stopping.
        """
        if not await spending.affords(lambda: self.in_flight):
            self._idle.discard(_current())
            self.stop()
            raise asyncio.CancelledError("the budget is used up")

    def _pool(self, model_id: str) -> Pool:
        if model_id not in self._pools:
            self._pools[model_id] = Pool(model_id, self._endpoints[model_id], self._limiter, self._settings, self._tell)
        return self._pools[model_id]

    def _limiter(self, place: Endpoint) -> Limiter:
        """Return the limiter of an address, which models that are served there share; the lowest limit counts."""
        if place.account not in self._limiters:
            here = [other for other in self._places if other.account == place.account]
            limits = [other.max_concurrency or self._settings.concurrency for other in here]
            self._limiters[place.account] = Limiter(min(limits))
        return self._limiters[place.account]

    @property
    def _places(self) -> list[Endpoint]:
        return [place for endpoint in self._endpoints.values() for place in endpoint.places]

    def tally(self) -> list[Mapping[str, Any]]:
        """Return how many calls each endpoint got and answered."""
        return [line for pool in self._pools.values() for line in pool.to_json()]

    async def close(self) -> None:
        """Give up what is still in flight, so that nobody waits for it any more, and give back all connections."""
        self.stop()
        open_still = list(self._asked)
        for asked in open_still:
            asked.cancel()
        await asyncio.gather(*open_still, return_exceptions=True)
        for pool in self._pools.values():
            await pool.close()


def _current() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task
