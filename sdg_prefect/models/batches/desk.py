"""Where the requests for one address are gathered into batches, and handed their answers when those are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from sdg_prefect.models.batches.client import VERSION, BatchClient, Outcome
from sdg_prefect.models.batches.following import Follower, Hopes
from sdg_prefect.models.batches.records import Batch, Shelf
from sdg_prefect.models.budget import Spent
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.failures import CallError, Reach, Verdict
from sdg_prefect.settings import Settings

_TOO_LONG = CallError(Verdict(Reach.ROW, "ContextWindowExceeded"), "the request is larger than a batch may be")
_NAP = 1.0
"""Seconds between two looks at whether other endpoints are still being called."""


@dataclass(slots=True, eq=False)
class Asked:
    """A request that somebody waits for."""

    client: BatchClient
    request: Request
    key: str
    line: bytes = b""
    answer: asyncio.Future[Outcome | Exception] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(frozen=True)
class House:
    """What the desks of a run share."""

    settings: Settings
    say: Callable[[str], None]
    """Told what is worth a line."""
    is_busy: Callable[[], bool]
    """True while calls are in flight elsewhere, which may lead to more requests."""
    afford: Callable[[int, Spent], Awaitable[int]]
    """Says how many of so many requests the budget admits, waiting until it is one at least; 0 if the run is stopping."""
    stopped: asyncio.Event


class Desk:
    """Takes requests for one address. Lives on the run's event loop."""

    def __init__(self, house: House, shelf: Shelf) -> None:
        self._house = house
        self._shelf = shelf
        self._open: dict[str, Asked] = {}
        self._queue: dict[str, Asked] = {}
        self._latest = 0.0
        self._is_full = asyncio.Event()
        self._gathering: asyncio.Task[None] | None = None
        self._follower = Follower(house.settings, house.say, house.stopped, shelf, self._hopes)

    @property
    def at_provider(self) -> int:
        """Requests that are waited for in batches."""
        return sum(len(batch.left & self._open.keys()) for batch in self._follower.batches)

    @property
    def left_behind(self) -> list[Batch]:
        """Batches that were waited for and not collected."""
        return self._follower.left_behind

    async def ask(self, client: BatchClient, request: Request, key: str) -> Completion:
        """Ask in a batch, and wait for the answer; whoever asks the same meanwhile is answered with it.

        Raises:
            CallError: The attempt failed.
        """
        if (found := self._found(key)) is not None:
            return _raised(found)
        asked = self._open.get(key)
        is_first = asked is None
        if asked is None:
            asked = self._open[key] = Asked(client, request, key)
            self._enqueue([asked])
        # Not to be cancelled with one of those who wait for it.
        completion = _raised(await asyncio.shield(asked.answer))
        return completion if is_first else replace(completion, replayed=True)

    def _found(self, key: str) -> Outcome | None:
        """Return what came of a request in a batch that was collected already."""
        batch = self._shelf.holding(key)
        outcome = batch.outcomes.get(key) if batch is not None and batch.outcomes is not None else None
        if isinstance(outcome, CallError):
            # A completion is settled when it is in the ledger.
            self._shelf.settle(key)
        return outcome

    def _enqueue(self, asked: Iterable[Asked]) -> None:
        self._queue |= {one.key: one for one in asked}
        self._latest = time.monotonic()
        self._note_size()
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.ensure_future(self._gather())

    def _note_size(self) -> None:
        (self._is_full.set if len(self._queue) >= self._follower.most else self._is_full.clear)()

    async def _gather(self) -> None:
        while self._queue:
            await self._until_quiet()
            if self._house.stopped.is_set():
                return
            asked = self._awaited(self._queue.values())
            # What is above whole batches waits for more.
            taken = len(asked) - len(asked) % self._follower.most if self._is_full.is_set() else len(asked)
            asked, self._queue = asked[:taken], {one.key: one for one in asked[taken:]}
            self._note_size()
            try:
                await self._hand_over(asked)
            except Exception as error:  # noqa: BLE001 - raised where the answers are waited for
                self._fail([one.key for one in asked], error)

    def _awaited(self, asked: Iterable[Asked]) -> list[Asked]:
        """Return those that were not answered meanwhile."""
        return [one for one in asked if self._open.get(one.key) is one]

    async def _until_quiet(self) -> None:
        """Wait until nothing new has come for a while and nothing is about to, or a batch is full, or the run is stopping."""
        settings, began = self._house.settings, time.monotonic()
        while not (self._is_full.is_set() or self._house.stopped.is_set()):
            now = time.monotonic()
            rest = self._latest + settings.batch_quiet - now
            if rest <= 0 and (now - began >= settings.batch_patience or not self._house.is_busy()):
                return
            waits = [asyncio.ensure_future(event.wait()) for event in (self._is_full, self._house.stopped)]
            await asyncio.wait(waits, timeout=rest if rest > 0 else _NAP, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _hand_over(self, asked: Sequence[Asked]) -> None:
        """Follow the batches that hold what is asked for, of whichever run, and submit the rest."""
        await self._shelf.refresh()
        fresh: list[Asked] = []
        for one in asked:
            batch = self._shelf.holding(one.key)
            if batch is not None and batch.outcomes is not None:
                self._hand_out([one.key])
            elif batch is not None and await self._follower.is_there(batch, one.client):
                self._follower.follow(batch, one.client)
            else:
                fresh.append(one)
        for _, group in groupby(sorted(fresh, key=_kind), key=_kind):
            await self._submit(list(group))

    async def _submit(self, asked: list[Asked]) -> None:
        """Submit requests that one model is asked in one way: as many as the budget admits, in as few batches as may be."""
        client, path = asked[0].client, VERSION + asked[0].request.route
        admitted = await self._house.afford(len(asked), client.likely_cost([one.request for one in asked]))
        if len(asked) > admitted:
            self._enqueue(asked[admitted:])
        for part in self._parts(self._awaited(asked[:admitted])):
            if self._house.stopped.is_set():
                return
            batch = Batch.new(path, tuple(one.key for one in part), time.time())
            content = b"".join(one.line for one in part)
            for one in part:
                one.line = b""
            self._follower.follow(batch, client, content)

    def _parts(self, asked: Sequence[Asked]) -> list[list[Asked]]:
        """Write the lines of requests, and cut them into what a batch may hold."""
        most, room = self._follower.most, self._house.settings.batch_bytes
        parts: list[list[Asked]] = [[]]
        size = 0
        for one in asked:
            try:
                one.line = one.client.line(one.key, one.request)
            except CallError as error:
                self._answer(one.key, error)
                continue
            if len(one.line) > room:
                self._answer(one.key, _TOO_LONG)
                continue
            if len(parts[-1]) >= most or size + len(one.line) > room:
                parts.append([])
                size = 0
            parts[-1].append(one)
            size += len(one.line)
        return [part for part in parts if part]

    def _hopes(self, batch: Batch) -> Hopes:
        """Say who waits for a batch."""
        return Hopes(
            hand_out=lambda: self._hand_out(batch.keys),
            fail=lambda error: self._fail(batch.keys, error),
            ask_again=lambda: self._enqueue([one for key in batch.keys if (one := self._open.get(key))]),
        )

    def _hand_out(self, keys: Iterable[str]) -> None:
        """Hand what came of requests to whoever waits for it. What nobody waits for, somebody may ask for later."""
        for key in keys:
            if key in self._open and (outcome := self._found(key)) is not None:
                self._answer(key, outcome)

    def _fail(self, keys: Iterable[str], error: Exception) -> None:
        for key in keys:
            self._answer(key, error)

    def _answer(self, key: str, outcome: Outcome | Exception) -> None:
        asked = self._open.pop(key, None)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result(outcome)

    async def close(self, seconds: float) -> None:
        """Wait a while for what is being submitted; then give it up, for it can be found again."""
        tasks = [task for task in (self._gathering, *self._follower.tasks) if task is not None and not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._shelf.close()


def _raised(outcome: Outcome | Exception) -> Completion:
    """Return a completion, and raise a failure, as a new one for each who waited for it."""
    if isinstance(outcome, CallError):
        raise CallError(outcome.verdict, outcome.message, outcome.retry_after)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _kind(asked: Asked) -> tuple[int, str]:
    """Tell apart what cannot go in one batch."""
    return id(asked.client), asked.request.route
