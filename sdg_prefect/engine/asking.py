"""What one block asks on one shard, on the event loop of the run: wherever it is at work, gateway and ledger are there."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

from opentelemetry.trace import get_current_span, use_span

from sdg_prefect.counts import Counts, Sum
from sdg_prefect.engine.context import Ask
from sdg_prefect.engine.live import Live
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.plan.plan import Step
from sdg_prefect.store.ledger.completions import ShardLedger


class PaidLedger:
    """A shard's ledger that knows what this run paid for: on a second attempt that does not count as replayed."""

    def __init__(self, ledger: ShardLedger) -> None:
        self._ledger = ledger
        self._paid: set[str] = set()
        self._outdated: set[str] = set()

    def ask_again(self, key: str) -> None:
        """Pass over a completion that an earlier run paid for."""
        self._outdated.add(key)

    async def open(self) -> None:
        """Read what is there."""
        await self._ledger.open()

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return the record of a completion, if it was ever received."""
        record = await self._ledger.find(key)
        if record is None or (key in self._outdated and key not in self._paid):
            return None
        return {**record, "replayed": key not in self._paid}

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Write a completion."""
        self._ledger.keep(key, record)
        self._paid.add(key)

    async def flush(self) -> None:
        """Wait until all completions are durable."""
        await self._ledger.flush()

    def seal(self) -> None:
        """End what this run writes for the shard: its checkpoint is written. Prefect keeps what its task runs were given."""
        self._ledger.seal()
        self._paid.clear()
        self._outdated.clear()


class Asking:
    """Asks for one block on one shard. It outlives retries of the shard, and workers that are lost at it."""

    def __init__(self, live: Live, step: Step, content: str) -> None:
        """Begin; nothing is read or asked yet.

        Args:
            live: The run.
            step: The block.
            content: Names the input rows by what they are, whatever run or place they come from.
        """
        self._live = live
        self._label = step.label
        self._ledger = PaidLedger(live.ledger(step.ledger_key).shard(content)) if step.ledger_key else None
        self._span = get_current_span()
        self._called = Sum()

    def begin(self) -> None:
        """Start an attempt: forget what the one before counted."""
        self._called = Sum()

    @property
    def counts(self) -> Counts:
        """The calls of the latest attempt, those that a block was not told of included."""
        return self._called.counts

    async def complete(self, requests: Sequence[Request], again: Set[str]) -> list[Completion | Failure]:
        """Answer requests; see ``Ask`` and ``Gateway.complete``."""
        assert self._ledger is not None
        for request in requests:
            if request.row_id in again:
                self._ledger.ask_again(self._live.gateway.key_of(request))
        mine = [replace(request, block=self._label) for request in requests]
        # What a worker asks comes over the network, and knows nothing of the span of its shard.
        with use_span(self._span, record_exception=False, set_status_on_exception=False):
            return await self._live.gateway.complete(mine, self._ledger, self._note)

    def _note(self, answer: Completion | Failure) -> None:
        if isinstance(answer, Failure):
            self._live.observer.problem(self._label, answer.error, answer.message)
            self._live.observer.call_done(self._label, {})
            return
        counted = answer.counted()
        self._called.add(counted)
        self._live.observer.call_done(self._label, counted)

    async def seal(self) -> None:
        """End the ledger of the shard, whose checkpoint is written: later runs read it faster."""
        if self._ledger is not None:
            await self._live.loop.run_in_executor(self._live.threads, self._ledger.seal)


def from_thread(asking: Asking, loop: asyncio.AbstractEventLoop) -> Ask:
    """Return the way for a block that is at work in a thread of this process."""

    def ask(requests: Sequence[Request], again: Set[str]) -> Sequence[Completion | Failure]:
        try:
            return asyncio.run_coroutine_threadsafe(asking.complete(requests, again), loop).result()
        except CancelledError:
            # The block's own handlers of exceptions are not meant: the run is stopping.
            raise asyncio.CancelledError("the run is stopping") from None

    return ask
