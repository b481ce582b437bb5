"""A gateway that asks in batches, with a ledger and records that outlive it, as a store does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.batches.client import BatchClient
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint, Price
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.spending import Spending
from sdg_prefect.settings import Settings
from tests.unit.models.kept import Kept

QUICK = Settings(batch_quiet=0.1, batch_poll=0.01, batch_poll_max=0.05, call_backoff=0.01, drain_seconds=5)
PRICE = Price(input=100, output=200)

Answer = Completion | Failure


class Records(dict[str, Mapping[str, Any]]):
    """Records of batches in memory."""

    def read(self, place: str, known: Collection[str]) -> dict[str, Mapping[str, Any]]:
        return {name: record for name, record in self.items() if name not in known}

    def write(self, place: str, name: str, record: Mapping[str, Any]) -> None:
        self[name] = record

    def remove(self, place: str, name: str) -> None:
        self.pop(name, None)


@dataclass
class Store:
    """What outlives a run."""

    ledger: Kept = field(default_factory=Kept)
    records: Records = field(default_factory=Records)
    said: list[str] = field(default_factory=list)

    def gateway(
        self,
        url: str,
        settings: Settings = QUICK,
        connect: Callable[[Endpoint], Client] = connect,
        spending: Spending | None = None,
        others: Mapping[str, Endpoint] | None = None,
        **fields: Any,
    ) -> Gateway:
        """Begin a run, whose flow may ask other models too."""
        endpoint = Endpoint.model_validate({"model": "m", "api_base": url, "mode": "batch", "price": PRICE, **fields})
        endpoints = {"teacher": endpoint, **(others or {})}
        batches = Batches(endpoints.values(), settings, self.records, self.said.append)
        batches.look()
        return Gateway(endpoints, connect, settings, spending, batches)

    def run(self, url: str, *shards: Sequence[Request], **options: Any) -> list[Answer]:
        """Ask for what some shards want, at once, to the end."""

        async def run() -> list[Answer]:
            gateway = self.gateway(url, **options)
            try:
                answers = await asyncio.wait_for(asyncio.gather(*(self.ask(gateway, shard) for shard in shards)), 60)
                return [answer for shard in answers for answer in shard]
            finally:
                await gateway.close()

        return asyncio.run(run())

    async def ask(self, gateway: Gateway, requests: Sequence[Request]) -> list[Answer]:
        """Ask for what a shard wants."""
        return await gateway.complete(requests, self.ledger, lambda _: None)


def requests(count: int, first: int = 0, model_id: str = "teacher") -> list[Request]:
    """Return so many requests, no two alike."""
    return [
        Request(model_id, f"row {place}", [{"role": "user", "content": f"Write about river {place} and its {place * 7} boats."}])
        for place in range(first, first + count)
    ]


def texts(answers: Sequence[Answer]) -> list[str | None]:
    """Return the replies; failures are not expected."""
    assert all(isinstance(answer, Completion) for answer in answers), answers
    return [answer.choices[0].text for answer in answers if isinstance(answer, Completion)]


class Dying(BatchClient):
    """A client of a process that dies at some point: it never comes back from there."""

    point = ""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self.is_dead = asyncio.Event()

    async def _die_at(self, point: str) -> None:
        if self.point == point:
            self.is_dead.set()
            await asyncio.Event().wait()

    async def upload(self, content: bytes, name: str) -> str:
        await self._die_at("before upload")
        uploaded = await super().upload(content, name)
        await self._die_at("after upload")
        return uploaded

    async def create(self, file_id: str, path: str, marker: str) -> Any:
        state = await super().create(file_id, path, marker)
        await self._die_at("after submission")
        return state

    async def results(self, state: Any, route: Any) -> Any:
        await self._die_at("before collection")
        return await super().results(state, route)
