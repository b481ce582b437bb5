"""A model that is asked in batches, at its one endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.readiness import open_client
from sdg_prefect.models.traffic import Traffic


class InBatches:
    """Has the requests for one model answered in batches. Lives on the run's event loop."""

    def __init__(
        self, model_id: str, endpoint: Endpoint, connect: Callable[[Endpoint], Client], batches: Batches, traffic: Traffic
    ) -> None:
        """Prepare; nothing is called before the first request.

        Args:
            model_id: The model as the flow names it.
            endpoint: Where it is served.
            connect: Makes the client of an endpoint.
            batches: Gathers the requests, and collects what came of them.
            traffic: What else is under way in the run.
        """
        self._model_id = model_id
        (self._endpoint,) = endpoint.places
        self._connect = connect
        self._batches = batches
        self._traffic = traffic
        self._opened = asyncio.Lock()
        self._client: Client | None = None
        self._asked = 0
        self._answers = 0

    async def attempt(self, request: Request, key: str, *, again: bool) -> Completion | CallError:
        """Ask in a batch, and wait for what comes of it; see ``Way``. At a stop the batch stays with the provider."""
        outcome: Completion | CallError | None = None
        try:
            with self._traffic.waiting():
                client = await self._open()
                outcome = await self._batches.ask(self._endpoint, client, request, key)
        except CallError as error:
            outcome = error
        finally:
            self._traffic.note(outcome)
        self._count(outcome)
        if isinstance(outcome, CallError) or not outcome.replayed:
            self._traffic.onlooker.from_batch(request, self._endpoint, outcome)
        if isinstance(outcome, CallError) and outcome.verdict.reach is Reach.RUN:
            said = f"model '{self._model_id}' ({self._endpoint.model}): {outcome.verdict.error}: {outcome.message}"
            raise EndpointError(said, outcome.verdict.hint)
        return outcome

    async def _open(self) -> Client:
        async with self._opened:
            if self._client is None:
                self._client = await open_client(self._endpoint, self._connect)
            return self._client

    def _count(self, outcome: Completion | CallError) -> None:
        if isinstance(outcome, Completion):
            # Of two who ask for the same, one has asked the provider.
            self._asked += not outcome.replayed
            self._answers += not outcome.replayed
        else:
            self._asked += 1

    def tally(self) -> list[Mapping[str, Any]]:
        """Return how many requests the endpoint got of which an end is known, and how many it answered."""
        where = self._endpoint.shown_address
        return [{"model": self._model_id, "endpoint": where, "calls": self._asked, "answers": self._answers}]

    async def close(self) -> None:
        """Give back all connections."""
        if self._client is not None:
            await self._client.close()
