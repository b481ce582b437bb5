"""The gateway: every call of a run passes here, through ledger, limits and retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.readiness import check_endpoint
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
    """An open endpoint: its client, its limit, and whether it still answers."""

    endpoint: Endpoint
    slots: asyncio.Semaphore
    opened: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Client | None = None
    """Made when the endpoint is ready: before the first call that the ledger cannot answer."""
    resting_until: float = 0.0
    dead: EndpointError | None = None


class Gateway:
    """Turns requests into completions for one run. Lives on one event loop."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        connect: Callable[[Endpoint], Client],
        settings: Settings,
    ) -> None:
        """Prepare a gateway; nothing is called before the first request.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            settings: Attempts, waits and the default concurrency.
        """
        self._settings = settings
        self._connect = connect
        self._endpoints = dict(endpoints)
        self._lines: dict[str, _Line] = {}
        self._slots: dict[str, asyncio.Semaphore] = {}
        self.in_flight = 0

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
        """

        async def answer(request: Request) -> Completion | Failure:
            result = await self._answer(request, ledger)
            on_done(result)
            return result

        # In-flight calls are paid for: when one raises, the others are waited for, not cancelled.
        results = await asyncio.gather(*(answer(request) for request in requests), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return cast("list[Completion | Failure]", results)

    async def _answer(self, request: Request, ledger: Ledger) -> Completion | Failure:
        line = self._line(request.model_id)
        key = request.key(line.endpoint.model)
        known = await ledger.find(key)
        if known is not None:
            return Completion.from_record(known)
        result = await self._try(line, request)
        if isinstance(result, Completion):
            await ledger.keep(key, result.to_record())
        return result

    async def _try(self, line: _Line, request: Request) -> Completion | Failure:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._slot(line) as client:
                    completion = await client.complete(request)
                return replace(completion, attempts=attempt, choices=tuple(map(_well_formed, completion.choices)))
            except CallError as error:
                verdict = error.verdict
                if verdict.reach is Reach.RUN:
                    line.dead = EndpointError(
                        f"model '{request.model_id}' ({line.endpoint.model}): {verdict.error}: {error.message}", verdict.hint
                    )
                    raise line.dead.again() from None
                if verdict.reach is Reach.ROW or attempt >= self._settings.call_attempts:
                    return Failure(verdict.error, error.message, verdict.reach is Reach.CALL, attempt)
                await self._wait(line, attempt, error)

    async def _wait(self, line: _Line, attempt: int, error: CallError) -> None:
        """Wait before the next attempt: exponential backoff with full jitter, or as long as the endpoint asks."""
        ceiling = min(self._settings.call_backoff_max, self._settings.call_backoff * 2 ** (attempt - 1))
        pause = random.uniform(0, ceiling)
        if error.retry_after is not None:
            line.resting_until = max(line.resting_until, time.monotonic() + error.retry_after)
        await asyncio.sleep(pause)

    @asynccontextmanager
    async def _slot(self, line: _Line) -> AsyncIterator[Client]:
        """Hold one of the endpoint's slots, once it is ready and not asking for rest."""
        async with line.slots:
            if line.dead is not None:
                raise line.dead.again()
            if (rest := line.resting_until - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            client = line.client or await self._open(line)
            self.in_flight += 1
            try:
                yield client
            finally:
                self.in_flight -= 1

    async def _open(self, line: _Line) -> Client:
        """Look at the endpoint and make its client, once."""
        async with line.opened:
            if line.dead is not None:
                raise line.dead.again()
            if line.client is None:
                try:
                    await check_endpoint(line.endpoint)
                except EndpointError as error:
                    line.dead = error
                    raise
                line.client = await asyncio.to_thread(self._connect, line.endpoint)
            return line.client

    def _line(self, model_id: str) -> _Line:
        if model_id not in self._lines:
            endpoint = self._endpoints[model_id]
            self._lines[model_id] = _Line(endpoint, self._slots_of(endpoint))
        return self._lines[model_id]

    def _slots_of(self, endpoint: Endpoint) -> asyncio.Semaphore:
        """Return the slots of an endpoint's address, which models that are served there share; the lowest limit counts."""
        place = _address(endpoint)
        if place not in self._slots:
            here = [other for other in self._endpoints.values() if _address(other) == place]
            limits = [other.max_concurrency or self._settings.concurrency for other in here]
            self._slots[place] = asyncio.Semaphore(min(limits))
        return self._slots[place]

    async def close(self) -> None:
        """Give back all connections."""
        for line in self._lines.values():
            if line.client is not None:
                await line.client.close()


def _well_formed(choice: Choice) -> Choice:
    """Replace halves of characters, which some servers send where a reply was cut and which no file can hold."""
    if choice.text is None:
        return choice
    return replace(choice, text=choice.text.encode("utf-8", "replace").decode())


def _address(endpoint: Endpoint) -> str:
    """Say where an endpoint is: its address, or the model where the provider decides."""
    return endpoint.api_base or endpoint.model
