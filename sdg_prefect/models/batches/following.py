"""One batch from its submission to its results."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sdg_prefect.models.batches.client import BatchClient
from sdg_prefect.models.batches.records import Batch, Shelf
from sdg_prefect.models.batches.states import QUEUE_FULL, State, refused, unanswered
from sdg_prefect.models.failures import CallError, Reach
from sdg_prefect.settings import Settings

_SLOWER = 1.5
"""How much each pause between two looks is longer than the one before."""
_LINE_EVERY = 300.0
"""Seconds between two lines about a batch whose status has not changed."""


@dataclass(frozen=True, slots=True)
class Hopes:
    """Who waits for a batch."""

    hand_out: Callable[[], Any]
    """Gives them what came of it."""
    fail: Callable[[Exception], Any]
    """Tells them that it could not be submitted or looked at."""
    ask_again: Callable[[], Any]
    """Has them ask in another batch, for the provider has none of this one."""


class Follower:
    """Submits batches, waits for them, and fetches what came of them. Lives on the run's event loop."""

    def __init__(
        self,
        settings: Settings,
        say: Callable[[str], None],
        stopped: asyncio.Event,
        shelf: Shelf,
        hopes: Callable[[Batch], Hopes],
    ) -> None:
        self._settings = settings
        self._say = say
        self._stopped = stopped
        self._shelf = shelf
        self._hopes = hopes
        self._following: dict[Batch, asyncio.Task[None]] = {}
        self._met: set[Batch] = set()
        self._giving_way: set[Batch] = set()
        self.most = settings.batch_requests
        """Requests in a batch at most; fewer after a provider has refused so many."""

    @property
    def batches(self) -> list[Batch]:
        """The batches that are being submitted or waited for."""
        return list(self._following)

    @property
    def left_behind(self) -> list[Batch]:
        """The batches of this run that have not ended as far as it knows."""
        return [batch for batch in self._met if batch.outcomes is None]

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What is at work."""
        return list(self._following.values())

    def follow(self, batch: Batch, client: BatchClient, content: bytes | None = None) -> None:
        """Begin to follow a batch, unless that is being done.

        Args:
            batch: The batch.
            client: Calls the provider.
            content: Its lines, if it has to be submitted first; None for one that is with the provider.
        """
        if batch not in self._following:
            self._following[batch] = asyncio.ensure_future(self._follow(batch, client, content))

    async def _follow(self, batch: Batch, client: BatchClient, content: bytes | None) -> None:
        hopes = self._hopes(batch)
        try:
            if content is not None:
                await self._submit(batch, client, content)
                content = None  # it may be large, and the wait long
            state = await self._ended(batch, client)
            if state is None and self._stopped.is_set():
                return
            if state is None or not await self._collect(batch, client, state):
                self._forget(batch)
                hopes.ask_again()
                return
        except Exception as error:  # noqa: BLE001 - raised where the answers are waited for
            self._following.pop(batch, None)
            hopes.fail(error)
            return
        self._following.pop(batch, None)
        hopes.hand_out()

    def _forget(self, batch: Batch) -> None:
        self._following.pop(batch, None)
        self._met.discard(batch)
        self._shelf.drop([batch])

    async def _submit(self, batch: Batch, client: BatchClient, content: bytes) -> None:
        """Submit a batch. It is written down first, so that a run which finds the note looks whether the provider has it."""
        await self._shelf.keep(batch)
        self._met.add(batch)
        try:
            batch.file_id = await client.upload(content, batch.marker)
            state = await client.create(batch.file_id, batch.path, batch.marker)
        except CallError as error:
            if not batch.file_id or error.verdict.reach is not Reach.CALL:
                # It was not submitted for sure; after a timeout nobody knows.
                self._forget(batch)
            raise
        batch.id = state.id
        await self._shelf.keep(batch)
        self._say(f"{batch.name}: {_requests(len(batch.keys))} submitted; the provider has a day to answer them")

    async def is_there(self, batch: Batch, client: BatchClient) -> bool:
        """Look whether the provider has a batch that some run has submitted, or was about to; if not, it is forgotten."""
        if batch in self._following:
            return True
        if not batch.id:
            state = await client.find(batch.marker, batch.created)
            if state is None:
                self._forget(batch)
                return False
            batch.id = state.id
            await self._shelf.keep(batch)
        if batch not in self._met:
            self._met.add(batch)
            self._say(f"{batch.name}: {_requests(len(batch.keys))} are with the provider since an earlier run")
        return True

    async def _ended(self, batch: Batch, client: BatchClient) -> State | None:
        """Wait until a batch has ended; None if the run is stopping, or the provider does not know it any more."""
        pause, failures, said, next_line = self._settings.batch_poll, 0, "", 0.0
        while not self._stopped.is_set():
            try:
                state = await client.state(batch.id)
            except CallError as error:
                failures += 1
                if error.verdict.reach is not Reach.CALL or failures >= self._settings.call_attempts:
                    raise
            else:
                failures = 0
                if state is None or state.has_ended:
                    if state is None:
                        self._say(f"{batch.name}: the provider does not know it any more; its requests are asked again")
                    return state
                if state.status != said or time.monotonic() >= next_line:
                    said, next_line = state.status, time.monotonic() + _LINE_EVERY
                    self._say(f"{batch.name}: {state.counts}")
            await self._rest(pause)
            pause = min(max(pause, 0.01) * _SLOWER, self._settings.batch_poll_max)
        return None

    async def _rest(self, seconds: float) -> None:
        """Wait, but not longer than the run goes on."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)

    async def _collect(self, batch: Batch, client: BatchClient, state: State) -> bool:
        """Fetch what came of an ended batch; False if its requests have to be asked in another one."""
        if state.status == "failed":
            if any(problem.code == QUEUE_FULL for problem in state.problems) and len(batch.keys) > 1:
                await self._give_way(batch)
                return False
            outcomes = refused(state, batch.keys)
            batch.outcomes = dict(outcomes)
            return True
        found = await client.results(state, batch.route)
        if found is None:
            self._say(f"{batch.name}: the provider has not kept its results; its requests are asked again")
            return False
        batch.outcomes = {key: found.get(key) or unanswered(state) for key in batch.keys if key in batch.left}
        failed = Counter(outcome.verdict.error for outcome in batch.outcomes.values() if isinstance(outcome, CallError))
        why = "".join(f", {count:,} {error}" for error, count in sorted(failed.items()))
        self._say(f"{batch.name}: {state.status}, {len(batch.outcomes) - failed.total():,} replies collected{why}")
        return True

    async def _give_way(self, batch: Batch) -> None:
        """Wait until the provider may take more: for another batch of this run to end, or with smaller batches than this one."""
        self._giving_way.add(batch)
        others = [task for other, task in self._following.items() if other not in self._giving_way]
        if not others:
            self.most = max(1, min(self.most, len(batch.keys) // 2))
        self._say(f"{batch.name}: the provider takes no {_requests(len(batch.keys))} at once for now; trying again, more slowly")
        stopped = asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait([*others, stopped], timeout=self._settings.batch_poll_max, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        self._giving_way.discard(batch)


def _requests(count: int) -> str:
    return f"{count:,} request{'s' * (count != 1)}"
