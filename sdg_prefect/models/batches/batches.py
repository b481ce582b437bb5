"""The batches of a run, at whichever addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from sdg_prefect.frozen import digest
from sdg_prefect.models.batches.client import BatchClient
from sdg_prefect.models.batches.desk import Desk, House
from sdg_prefect.models.batches.records import BatchRecords, Shelf, Unkept
from sdg_prefect.models.budget import Spent
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.settings import Settings


class Batches:
    """Gathers the requests of a run into batches and collects those of earlier runs. Lives on the run's event loop."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        settings: Settings,
        records: BatchRecords | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepare; nothing is called or read before the first request.

        Args:
            endpoints: The endpoints of the run, of which some may take batches.
            settings: Waits and limits.
            records: Keeps what is known of batches for later runs.
            say: Told what is worth a line.
        """
        self._settings = settings
        self._records = Unkept() if records is None else records
        self._say = say
        self._stopped = asyncio.Event()
        self._places = {place_of(endpoint) for endpoint in endpoints if endpoint.in_batches}
        self._shelves: dict[str, Shelf] = {}
        self._desks: dict[str, Desk] = {}
        self._is_busy: Callable[[], bool] = lambda: False
        self._afford: Callable[[int, Spent], Awaitable[int]] = _all_of_them

    def heed(self, is_busy: Callable[[], bool], afford: Callable[[int, Spent], Awaitable[int]]) -> None:
        """Take note of what else a run does; see ``House``."""
        self._is_busy, self._afford = is_busy, afford

    @property
    def at_provider(self) -> int:
        """Requests that are waited for in batches."""
        return sum(desk.at_provider for desk in self._desks.values())

    @property
    def left_behind(self) -> str:
        """Say what a run that has ended leaves with providers; nothing where it leaves nothing."""
        batches = [batch for desk in self._desks.values() for batch in desk.left_behind]
        if not batches:
            return ""
        requests, one = sum(len(batch.left) for batch in batches), len(batches) == 1
        what = "1 batch stays" if one else f"{len(batches):,} batches stay"
        return (
            f"{what} with the provider, with {requests:,} request{'s' * (requests != 1)}. The same command goes on: "
            f"it collects {'it' if one else 'them'} and submits nothing twice."
        )

    async def ask(self, endpoint: Endpoint, client: Client, request: Request, key: str) -> Completion:
        """Ask in a batch, and wait for the answer.

        Raises:
            CallError: The attempt failed.
        """
        assert isinstance(client, BatchClient)
        place = place_of(endpoint)
        if place not in self._desks:
            house = House(self._settings, self._say, self._is_busy, self._afford, self._stopped)
            self._desks[place] = Desk(house, self._shelf(place))
        return await self._desks[place].ask(client, request, key)

    def _shelf(self, place: str) -> Shelf:
        if place not in self._shelves:
            self._shelves[place] = Shelf(self._records, place)
        return self._shelves[place]

    def look(self) -> None:
        """Read which batches earlier runs have left with providers."""
        for place in self._places:
            self._shelf(place).look()

    def in_ledger(self, key: str) -> None:
        """Take note that a completion is in the ledger: no batch has to be asked for it any more."""
        for shelf in self._shelves.values():
            shelf.settle(key)

    def stop(self) -> None:
        """Submit nothing more, and look at no batch any more; what is being submitted is submitted."""
        self._stopped.set()

    async def close(self) -> None:
        """Give everything back. Batches stay with their providers."""
        self.stop()
        await asyncio.gather(*(desk.close(self._settings.drain_seconds) for desk in self._desks.values()))
        await asyncio.gather(*(shelf.close() for shelf in self._shelves.values()))


def place_of(endpoint: Endpoint) -> str:
    """Return the name of an address in the store."""
    return digest("batches at", (endpoint.api_base or "").rstrip("/"))


async def _all_of_them(count: int, _each: Spent) -> int:
    return count
