"""The gateway: every call of a run passes here, through ledger, limits and retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sdg_prefect.awaiting import few_at_a_time
from sdg_prefect.errors import EndpointError
from sdg_prefect.models.batches.asking import InBatches
from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.calls import Calls
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.limiter import Limiter
from sdg_prefect.models.onlooker import Onlooker
from sdg_prefect.models.pool import Pool
from sdg_prefect.models.share import Shares
from sdg_prefect.models.spending import Spending
from sdg_prefect.models.traffic import Traffic, current_request
from sdg_prefect.settings import Settings


class Ledger(Protocol):
    """Keeps every completion that was paid for, so that none is bought again."""

    async def open(self) -> None:
        """Read what is there, so that ``find`` need not wait for it."""
        ...

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of the completion under this key, if it was ever received."""
        ...

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Write a completion, without waiting."""
        ...

    async def flush(self) -> None:
        """Wait until all that was kept is durable."""
        ...


class Way(Protocol):
    """How a model is asked: by calls, or in batches."""

    async def attempt(self, request: Request, key: str, *, again: bool) -> Completion | CallError:
        """Make one attempt.

        Args:
            request: What to ask.
            key: Under which its completion is kept.
            again: True if it was asked before: it then goes before those that were not.

        Raises:
            EndpointError: The model cannot serve this run any more.
            CancelledError: The run is stopping, and the request was not sent.
        """
        ...

    def tally(self) -> list[Mapping[str, Any]]:
        """Return how often each endpoint was asked, and how often it answered."""
        ...

    async def close(self) -> None:
        """Give back all connections."""
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
        tell: Callable[[str], None] = lambda _: None,
        shares: Shares | None = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        """Prepare a gateway; nothing is called before the first request.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            settings: Attempts, waits and the default concurrency.
            spending: Keeps the calls within a budget.
            batches: Takes the requests for models that are asked in batches.
            tell: Told when an endpoint goes out or comes back.
            shares: Gives the run its share of limits that it has in common with others.
            onlooker: Told about every attempt.
        """
        self._settings = settings
        self._shares = shares
        self._connect = connect
        self._tell = tell
        self._endpoints = dict(endpoints)
        self._ways: dict[str, Way] = {}
        self._limiters: dict[tuple[str, str | None], Limiter] = {}
        self.batches = Batches(self._endpoints.values(), settings) if batches is None else batches
        self._traffic = Traffic(self.batches, spending, onlooker)
        self._asked: set[asyncio.Task[Any]] = set()
        """Who waits for answers."""
        self._beginning = asyncio.Lock()

    @property
    def is_stopped(self) -> bool:
        """True if nothing more is sent."""
        return self._traffic.is_stopped

    @property
    def in_flight(self) -> int:
        """Calls that were sent and have not ended. What waits for a batch is none."""
        return self._traffic.in_flight

    @property
    def flying(self) -> Mapping[str, int]:
        """Those calls by block."""
        return self._traffic.flying

    @property
    def calls_at_once(self) -> int:
        """Calls that may be open at most, at all addresses together."""
        return sum(self._most(account) for account in {place.account for place in self._called})

    @property
    def longest_call(self) -> float:
        """Seconds after which every call in flight has ended."""
        return max((place.timeout for place in self._called), default=0.0)

    @property
    def is_held(self) -> bool:
        """True while nothing is sent for now."""
        return not self._traffic.valve.is_open

    def hold(self) -> None:
        """Send nothing for now. Calls in flight are waited for and kept, and what the ledger knows is still answered."""
        self._traffic.valve.shut()

    def release(self) -> None:
        """Go on sending."""
        self._traffic.valve.open()
        for limiter in self._limiters.values():
            limiter.serve()

    async def released(self) -> None:
        """Wait as long as the gateway is held.

        Raises:
            CancelledError: The run is stopping.
        """
        await self._traffic.valve.passed()
        if self.is_stopped:
            raise asyncio.CancelledError("the run is stopping")

    def stop(self) -> None:
        """Send nothing more. Calls in flight are still waited for and kept, and what the ledger knows is still answered."""
        self._traffic.stop()

    async def complete(
        self, requests: Sequence[Request], ledger: Ledger, on_done: Callable[[Completion | Failure], None]
    ) -> list[Completion | Failure]:
        """Answer requests, in their order. Completions are durable when this returns.

        Args:
            requests: What to ask. Those that the ledger knows are replayed.
            ledger: Where completions are kept before anything else is done with them.
            on_done: Called once for each answer as it comes.

        Raises:
            EndpointError: An endpoint cannot serve this run; what arrived before is in the ledger.
            CancelledError: The run is stopping, and not every request was sent; the answers to the others are in the ledger.
        """
        in_ledger: list[str] = []

        async def answer(request: Request) -> Completion | Failure:
            result = await self._answer(request, ledger, in_ledger)
            on_done(result)
            return result

        mine = current_request()
        self._asked.add(mine)
        try:
            # Else all would wait for that, and go on together while nothing else has its turn.
            await ledger.open()
            # In-flight calls are paid for: when one raises, the others are waited for, not cancelled.
            answers = await few_at_a_time(requests, answer, self._beginning)
            with self._stopping_if_not_kept():
                await ledger.flush()
            for key in in_ledger:
                self.batches.in_ledger(key)
            return answers
        finally:
            self._asked.discard(mine)

    def key_of(self, request: Request) -> str:
        """Return the key under which the completion of a request is kept."""
        return request.key(self._endpoints[request.model_id].identity)

    async def _answer(self, request: Request, ledger: Ledger, in_ledger: list[str]) -> Completion | Failure:
        key = self.key_of(request)
        known = await ledger.find(key)
        result = await self._try(request, key) if known is None else Completion.from_record(known)
        if isinstance(result, Completion):
            if known is None:
                with self._stopping_if_not_kept():
                    ledger.keep(key, {**result.to_record(), "at": round(time.time(), 3)})
            in_ledger.append(key)
        return result

    @contextmanager
    def _stopping_if_not_kept(self) -> Iterator[None]:
        """Send nothing more when a completion cannot be kept: it would be paid for again."""
        try:
            yield
        except Exception:
            self.stop()
            raise

    async def _try(self, request: Request, key: str) -> Completion | Failure:
        """Ask until there is an answer, a failure that lasts, or no attempt left."""
        way, attempt = self._way(request.model_id), 1
        while True:
            try:
                outcome = await way.attempt(request, key, again=attempt > 1)
            except EndpointError:
                self.stop()
                raise
            if isinstance(outcome, Completion):
                return outcome.after(attempt)
            lasts = outcome.verdict.reach is Reach.ROW
            if lasts or attempt >= self._settings.call_attempts:
                return Failure(outcome.verdict.error, outcome.message, transient=not lasts, attempts=attempt)
            await self._wait(attempt)
            attempt += 1

    async def _wait(self, attempt: int) -> None:
        """Wait before the next attempt: exponential backoff with full jitter. What the endpoint asks for is up to the limiter."""
        ceiling = min(self._settings.call_backoff_max, self._settings.call_backoff * 2 ** (attempt - 1))
        with self._traffic.waiting():
            await asyncio.sleep(random.uniform(0, ceiling))

    def _way(self, model_id: str) -> Way:
        if model_id not in self._ways:
            endpoint = self._endpoints[model_id]
            if endpoint.in_batches:
                self._ways[model_id] = InBatches(model_id, endpoint, self._connect, self.batches, self._traffic)
            else:
                pool = Pool(model_id, endpoint, self._limiter, self._settings, self._tell)
                self._ways[model_id] = Calls(pool, self._connect, self._traffic)
        return self._ways[model_id]

    def _limiter(self, place: Endpoint) -> Limiter:
        """Return the limiter of an address, which models that are served there share; the lowest limit counts."""
        if place.account not in self._limiters:
            named = next((other.shared_limit for other in self._at(place.account) if other.shared_limit), None)
            share = self._shares.of(named) if named and self._shares is not None else None
            self._limiters[place.account] = Limiter(self._most(place.account), share=share, valve=self._traffic.valve)
        return self._limiters[place.account]

    def _at(self, account: tuple[str, str | None]) -> list[Endpoint]:
        return [place for place in self._called if place.account == account]

    def _most(self, account: tuple[str, str | None]) -> int:
        return min(place.max_concurrency or self._settings.concurrency for place in self._at(account))

    @property
    def _called(self) -> list[Endpoint]:
        """Every endpoint that is called, and not asked in batches."""
        return [place for endpoint in self._endpoints.values() if not endpoint.in_batches for place in endpoint.places]

    def tally(self) -> list[Mapping[str, Any]]:
        """Return how often each endpoint was asked, and how often it answered."""
        return [line for way in self._ways.values() for line in way.tally()]

    async def close(self) -> None:
        """Give up what is still in flight, so that nobody waits for it any more, and give back all connections."""
        self.stop()
        open_still = list(self._asked)
        for asked in open_still:
            asked.cancel()
        await asyncio.gather(*open_still, return_exceptions=True)
        await self.batches.close()
        for way in self._ways.values():
            await way.close()
