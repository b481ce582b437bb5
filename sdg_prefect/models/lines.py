"""The open endpoints of a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sdg_prefect.models.client import Client
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.limiter import Lane, Limiters
from sdg_prefect.models.readiness import check_endpoint


@dataclass
class Line:
    """An open endpoint: its client and its limits."""

    endpoint: Endpoint
    lane: Lane
    opened: asyncio.Lock = field(default_factory=asyncio.Lock)
    client: Client | None = None
    """Made when the endpoint is ready: before the first call that the ledger cannot answer."""


class Lines:
    """Opens each endpoint when it is first needed. Lives on the run's event loop."""

    def __init__(self, endpoints: Mapping[str, Endpoint], connect: Callable[[Endpoint], Client], concurrency: int) -> None:
        """Prepare.

        Args:
            endpoints: Where each model id is served.
            connect: Makes the client of an endpoint.
            concurrency: Calls at once for an endpoint that sets no limit of its own.
        """
        self._endpoints = endpoints
        self._connect = connect
        self._limiters = Limiters(endpoints.values(), concurrency)
        self._lines: dict[str, Line] = {}

    def to(self, model_id: str) -> Line:
        """Return the line to a model."""
        if model_id not in self._lines:
            endpoint = self._endpoints[model_id]
            self._lines[model_id] = Line(endpoint, self._limiters.lane(endpoint))
        return self._lines[model_id]

    async def open(self, line: Line) -> Client:
        """Look at an endpoint and make its client, once.

        Raises:
            EndpointError: It is not there, or does not take the key.
        """
        async with line.opened:
            if line.client is None:
                await check_endpoint(line.endpoint)
                line.client = await asyncio.to_thread(self._connect, line.endpoint)
            return line.client

    async def close(self) -> None:
        """Give back all connections."""
        for line in self._lines.values():
            if line.client is not None:
                await line.client.close()
