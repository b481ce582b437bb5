"""A model that is asked call by call: at whichever of its endpoints has room, and at another one where a call fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.models.health import is_sick
from sdg_prefect.models.limiter import Lane
from sdg_prefect.models.pool import Pool
from sdg_prefect.models.queue import Permit
from sdg_prefect.models.traffic import Traffic


class Calls:
    """Makes the calls of one model. Lives on the run's event loop."""

    def __init__(self, pool: Pool, connect: Callable[[Endpoint], Client], traffic: Traffic) -> None:
        """Prepare; nothing is called before the first request.

        Args:
            pool: The endpoints of the model.
            connect: Makes the client of an endpoint.
            traffic: What else is under way in the run.
        """
        self._pool = pool
        self._connect = connect
        self._traffic = traffic

    async def attempt(self, request: Request, key: str, *, again: bool) -> Completion | CallError:
        """Call until there is an answer, or the call has failed at each endpoint that is in; see ``Way``."""
        failed: set[Lane] = set()
        while True:
            permit = await self._admit(request, failed, again=again)
            outcome = await self._send(permit, request)
            if isinstance(outcome, Completion):
                return outcome
            if self._pool.is_gone:
                raise self._pool.failure()
            if outcome.verdict.reach is Reach.ROW:
                return outcome
            assert permit.lane is not None
            failed.add(permit.lane)
            # One that is only busy may have room again before another one has rested.
            if not permit.is_probe and not self._pool.takes_over(failed, is_rested=not is_sick(outcome)):
                return outcome
            # After a probe in vain others have their turn.
            again = not permit.is_probe

    async def _admit(self, request: Request, failed: Collection[Lane], *, again: bool) -> Permit:
        """Wait until the limiter of an endpoint that is ready lets the call through, and the budget does."""
        with self._traffic.waiting():
            while True:
                permit = await self._pool.enter(request, again=again, shuns=failed)
                try:
                    if await self._pool.open(permit, self._connect):
                        await self._traffic.afford()
                        return permit
                except BaseException:
                    self._pool.leave(permit, request)
                    raise
                self._pool.leave(permit, request)
                if self._pool.is_gone:
                    raise self._pool.failure()

    async def _send(self, permit: Permit, request: Request) -> Completion | CallError:
        outcome: Completion | CallError | None = None
        self._traffic.flying[request.block] += 1
        endpoint = self._pool.endpoint(permit)
        is_metered = request.route != "embeddings" and not endpoint.is_fixed
        ended = self._traffic.onlooker.call(request, endpoint)
        try:
            outcome = await self._pool.call(permit, request)
        except CallError as error:
            outcome = error
        finally:
            self._traffic.flying[request.block] -= 1
            self._pool.leave(permit, request, outcome)
            self._traffic.note(outcome, request.model_id if is_metered else None)
            ended(outcome)
        return outcome

    def tally(self) -> list[Mapping[str, Any]]:
        """Return how many calls each endpoint got and answered."""
        return self._pool.tally()

    async def close(self) -> None:
        """Give back all connections."""
        await self._pool.close()
