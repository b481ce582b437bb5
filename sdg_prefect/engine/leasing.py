"""Shares of Prefect's global concurrency limits: runs that call the same endpoint keep together to one number of open calls.

Slots are taken in leases of many, for to ask the server costs tens of milliseconds. A lease ends by itself a minute after the run
that holds it has died.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from sdg_prefect.awaiting import all_ended
from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.errors import EndpointError
from sdg_prefect.models.share import Share
from sdg_prefect.plan.sharding import cut

_EVERY = 0.25
"""Seconds between two looks at how many slots are wanted."""
_LASTS = 60.0
"""Seconds of a lease that is not renewed; the server takes no fewer."""
_RENEWED_EVERY = 20.0
_TURN = 15.0
"""Seconds after which a lease of a limit that is used up is given back for a while, since others may wait."""
_PAUSE = 1.5
"""Seconds that others have then."""
_PARTS = 8
"""A lease is of this part of the slots at most."""
_AT_ONCE = _PARTS // 2
"""Leases that are asked for at the same time."""
_EARLY = 5.0
"""Seconds from the start for which half of the slots are wanted at least: a server that records a start answers late, so calls
that are soon to come are asked for ahead of it."""
_LOCKED = 423


@dataclass(eq=False)
class _Lease:
    id: UUID
    slots: int
    since: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)


class Leasing:
    """Holds as many slots of one limit as a run can use, and gives back what it does not. Lives on the run's event loop."""

    def __init__(self, name: str, most: int, client: PrefectClient) -> None:
        """Begin without slots.

        Args:
            name: The limit.
            most: Its slots.
            client: Asks Prefect's server.
        """
        self.share = Share()
        self._name = name
        self._client = client
        self._held: list[_Lease] = []
        self._leaving: list[_Lease] = []
        """Not to be used any more, but for calls that are still open."""
        self._size = self._largest = max(1, most // _PARTS)
        self._not_before = 0.0
        self._early = max(1, most // 2)
        self._early_until = time.monotonic() + _EARLY

    async def keep(self) -> None:
        """Follow what is wanted, until cancelled."""
        while True:
            try:
                await self._step()
            except SERVER_LOST as error:
                # What is held stays, as long as the lease lasts.
                logger.debug("limit '%s': Prefect's server does not answer: %s", self._name, type(error).__name__)
            await asyncio.sleep(_EVERY)

    async def close(self) -> None:
        """Give back all slots."""
        leases, self._held, self._leaving = [*self._held, *self._leaving], [], []
        for lease in leases:
            with suppress(*SERVER_LOST):
                await self._client.release_concurrency_slots_with_lease(lease.id)

    async def _step(self) -> None:
        now = time.monotonic()
        for lease in [lease for lease in (*self._held, *self._leaving) if now - lease.renewed >= _RENEWED_EVERY]:
            await self._renew(lease)
        while self._leaving and self.share.open_calls <= self._slots:
            await self._client.release_concurrency_slots_with_lease(self._leaving.pop().id)
        wanted = self._wanted
        if wanted > self._slots and now >= self._not_before:
            await self._take_more()
        elif self._held and wanted <= self._slots - self._held[0].slots:
            self._give_back()
        elif self._held and now - self._held[0].since >= _TURN:
            await self._make_room(now)

    async def _take_more(self) -> None:
        """Ask for leases until there is what is wanted, or one is refused.

        A server that records runs takes long to answer, however little there is to do: so several are asked for at once, but not
        all, or a run that begins at the same moment would be left with none.
        """
        while (lacking := self._wanted - self._slots) > 0:
            asked = [slots for _, slots in cut(lacking, self._size)[:_AT_ONCE]]
            if not all(await all_ended([self._take(slots) for slots in asked])):
                return

    async def _take(self, slots: int) -> bool:
        """Ask for a lease; False if that many are not free."""
        try:
            taken = await self._client.increment_concurrency_slots_with_lease([self._name], slots, "concurrency", _LASTS)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != _LOCKED:
                raise
            self._size = max(1, slots // 2)
            if slots == 1:
                self._not_before = time.monotonic() + random.uniform(0.5, 1.0) * _PAUSE / 2
            return False
        self._size = min(2 * slots, self._largest)
        self._held.append(_Lease(UUID(taken.json()["lease_id"]), slots))
        self.share.grant(self._slots)
        return True

    async def _renew(self, lease: _Lease) -> None:
        try:
            await self._client.renew_concurrency_lease(lease.id, _LASTS)
        except PrefectHTTPStatusError as error:
            if error.response.status_code not in (404, 410):
                raise
            # The server has forgotten it: its slots may be another run's by now.
            (self._held if lease in self._held else self._leaving).remove(lease)
            self.share.grant(self._slots)
        lease.renewed = time.monotonic()

    def _give_back(self) -> None:
        self._leaving.append(self._held.pop(0))
        self.share.grant(self._slots)

    async def _make_room(self, now: float) -> None:
        """Give back the oldest lease if the limit is used up; look again after half a turn."""
        for lease in self._held:
            lease.since = max(lease.since, now - _TURN / 2)
        try:
            limit = await self._client.read_global_concurrency_limit_by_name(self._name)
        except ObjectNotFound:
            # Somebody has removed it: there is nobody to make room for.
            return
        if limit.active_slots >= limit.limit:
            self._give_back()
            self._not_before = now + _PAUSE

    @property
    def _wanted(self) -> int:
        return max(self.share.wanted, self._early if time.monotonic() < self._early_until else 0)

    @property
    def _slots(self) -> int:
        return sum(lease.slots for lease in self._held)


class Leases:
    """The shares of a run."""

    def __init__(self, leasing: dict[str, Leasing]) -> None:
        self._leasing = leasing

    def of(self, name: str) -> Share:
        """Return the share of a limit."""
        return self._leasing[name].share


@asynccontextmanager
async def leased(names: Collection[str]) -> AsyncIterator[Leases | None]:
    """Hold shares of limits for as long as a run is on; None where it shares nothing.

    Raises:
        EndpointError: Prefect's server does not answer, or knows no such limit.
    """
    if not names:
        yield None
        return
    async with get_client() as client:
        leasing = {name: Leasing(name, await _slots_of(client, name), client) for name in names}
        keepers = [asyncio.ensure_future(one.keep()) for one in leasing.values()]
        try:
            yield Leases(leasing)
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for one in leasing.values():
                await one.close()


async def _slots_of(client: PrefectClient, name: str) -> int:
    try:
        return (await client.read_global_concurrency_limit_by_name(name)).limit
    except ObjectNotFound:
        raise EndpointError(
            f"Prefect's server has no global concurrency limit '{name}', which 'shared_limit' names.",
            f"Make it, with as many slots as calls may be open: prefect gcl create {name} --limit 24",
        ) from None
    except SERVER_LOST as error:
        raise EndpointError(
            f"Prefect's server cannot be asked for the limit '{name}': {type(error).__name__}.",
            "Runs share a limit through one server: set PREFECT_API_URL to it, and see that it runs.",
        ) from error
