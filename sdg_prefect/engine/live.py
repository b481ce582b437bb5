"""What is live during a run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.engine.runners.runner import Runner
from sdg_prefect.engine.telemetry.run import Telemetry
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.report.progress import Observer
from sdg_prefect.store.ledger.completions import BlockLedger
from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.claims import Claims, Unclaimed

if TYPE_CHECKING:
    from sdg_prefect.engine.reviewing import Reviews
    from sdg_prefect.plan.plan import Step
    from sdg_prefect.store.shards import DatasetRef


@dataclass
class Live:
    """The open parts of a run: store, gateway, runner, ledgers. Lives on the run's event loop."""

    root: Root
    gateway: Gateway
    observer: Observer
    run_id: str
    sizes: Sizes
    threads: Executor
    """For what takes its time in this process."""
    runner: Runner
    loop: asyncio.AbstractEventLoop
    retry_rejects: bool = False
    """True if rows that earlier runs rejected are asked for again."""
    claims: Claims = field(default_factory=Unclaimed)
    reviews: Reviews | None = None
    """Asks people about rows; nobody is asked where there is none."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    """Tells operators, if they want to know."""
    at_rest: set[str] = field(default_factory=set)
    """Folders of the checkpoints that Prefect will try to make again after a delay."""
    _ledgers: dict[str, BlockLedger] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def at_once(self, rows: int) -> int:
        """Return how many shards of so many rows may be at work at once."""
        return max(self.sizes.at_once(rows, self.gateway.calls_at_once), self.runner.shards_at_once)

    async def reviewed(self, step: Step, refs: Sequence[DatasetRef]) -> Step:
        """Return a step that knows what a person decided about the rows that it gets, where it waits for that."""
        return step if self.reviews is None else await self.reviews.with_decision(step, refs)

    def ledger(self, key: str) -> BlockLedger:
        """Return the ledger under a key, opened once."""
        with self._guard:
            return self._ledgers.setdefault(key, BlockLedger(self.root, key, self.run_id))

    async def close(self) -> None:
        """Flush and give back everything."""
        await self.gateway.close()
        for ledger in self._ledgers.values():
            await ledger.close()
