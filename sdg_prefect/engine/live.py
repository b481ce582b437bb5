"""What is live during a run, and the context that a block sees of it."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Mapping, Sequence, Set
from concurrent.futures import CancelledError, Executor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdg_prefect.counts import Counts
from sdg_prefect.engine.doing import row_random
from sdg_prefect.errors import EndpointError, TransientError
from sdg_prefect.frozen import canonical
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.report.progress import Observer
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.ledger.completions import BlockLedger, ShardLedger
from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.claims import Claims, Unclaimed

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("sdg_prefect.run")
logger.setLevel(logging.INFO)  # Prefect's handlers see what the logger lets through
logging.getLogger("EventsWorker").setLevel(logging.ERROR)  # at exit it warns of the events that it is still sending


@dataclass
class Live:
    """The open parts of a run: store, gateway, threads, ledgers. Lives on the run's event loop."""

    root: Root
    gateway: Gateway
    observer: Observer
    run_id: str
    sizes: Sizes
    threads: Executor
    loop: asyncio.AbstractEventLoop
    retry_rejects: bool = False
    """True if rows that earlier runs rejected are asked for again."""
    claims: Claims = field(default_factory=Unclaimed)
    at_rest: set[str] = field(default_factory=set)
    """Folders of the checkpoints that Prefect will try to make again after a delay."""
    _ledgers: dict[str, BlockLedger] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def ledger(self, key: str) -> BlockLedger:
        """Return the ledger under a key, opened once."""
        with self._guard:
            return self._ledgers.setdefault(key, BlockLedger(self.root, key, self.run_id))

    async def close(self) -> None:
        """Flush and give back everything."""
        await self.gateway.close()
        for ledger in self._ledgers.values():
            await ledger.close()


class PaidLedger:
    """A shard's ledger that knows what this run paid for: on a second attempt that does not count as replayed."""

    def __init__(self, ledger: ShardLedger) -> None:
        self._ledger = ledger
        self._paid: set[str] = set()
        self._outdated: set[str] = set()

    def open(self) -> None:
        """Read what earlier runs left for the shard, in a thread."""
        self._ledger.open()

    def ask_again(self, key: str) -> None:
        """Pass over a completion that an earlier run paid for."""
        self._outdated.add(key)

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
        """End what this run writes for the shard: its checkpoint is written."""
        self._ledger.seal()


class ShardContext:
    """The context of one block at work on one shard; see ``Context``. It outlives Prefect's retries of the shard."""

    def __init__(self, live: Live, step: Step, content: str) -> None:
        """Make the context.

        Args:
            live: The run.
            step: The block.
            content: Names the input rows by what they are, whatever run or place they come from.
        """
        self._live = live
        self._step = step
        self.content = content
        self._ledger = PaidLedger(live.ledger(step.ledger_key).shard(content)) if step.ledger_key else None
        self._table: pa.Table | None = None
        self._is_last_attempt = True
        self._guard = threading.Lock()
        self.rejects: dict[int, Reject] = {}
        self.counts = Counts()
        self._costs: dict[str, float | None] = {}
        self._replayed: set[str] = set()
        self._again: Set[str] = frozenset()

    def retry(self) -> bool:
        """Have the rows asked for again that were rejected for what earlier runs were told; False where there are none."""
        self._again = {reject.row_id for reject in self.rejects.values()} & self._replayed
        return bool(self._again)

    def begin(self, table: pa.Table, *, is_last_attempt: bool) -> None:
        """Start an attempt: forget what the one before counted."""
        self._costs, self._replayed = {}, set()
        self._table = table
        self._is_last_attempt = is_last_attempt
        self.rejects = {}
        self.counts = Counts()

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Hand the requests to the run's event loop and wait for all answers."""
        if not requests:
            return []
        if self._ledger is None:
            raise TypeError(f"block '{self._step.name}' asks a model but does not name it in model_ids()")
        for request in requests:
            if request.row_id in self._again:
                self._ledger.ask_again(self._live.gateway.key_of(request))
        asked = self._live.gateway.complete([self._mine(request) for request in requests], self._ledger, self._note)
        try:
            answers = asyncio.run_coroutine_threadsafe(asked, self._live.loop).result()
        except CancelledError:
            # The block's own handlers of exceptions are not meant: the run is stopping.
            raise asyncio.CancelledError("the run is stopping") from None
        self._raise_if_passing(requests, answers)
        self._remember(requests, answers)
        return answers

    def _mine(self, request: Request) -> Request:
        """Say which block asks."""
        return replace(request, block=self._step.label)

    def _remember(self, requests: Sequence[Request], answers: Sequence[Completion | Failure]) -> None:
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Completion):
                if answer.replayed:
                    self._replayed.add(request.row_id)
                before = self._costs.get(request.row_id, 0.0)
                known = before is not None and answer.cost_usd is not None
                self._costs[request.row_id] = before + answer.cost_usd if known else None  # type: ignore[operator]

    def seal(self) -> None:
        """End the ledger of the shard, whose checkpoint is written: later runs read it faster."""
        if self._ledger is not None:
            self._ledger.seal()

    def _raise_if_passing(self, requests: Sequence[Request], answers: Sequence[Completion | Failure]) -> None:
        """Leave failures that may pass to Prefect's retry of the shard; on the last attempt the block rejects their rows."""
        passing = [answer for answer in answers if isinstance(answer, Failure) and answer.transient]
        if not passing:
            return
        first = passing[0]
        said = f"{len(passing)} of {len(requests)} calls failed: {first.error}: {first.message}"
        if not self._is_last_attempt:
            raise TransientError(said)
        if len(passing) == len(requests) and all(failure.error == "Unreachable" for failure in passing):
            raise EndpointError(f"block '{self._step.name}': the endpoint of '{requests[0].model_id}' is gone. {said}.",
                                "The same command goes on from here when it is back.")  # fmt: skip

    def _note(self, answer: Completion | Failure) -> None:
        counts = answer.counts() if isinstance(answer, Completion) else Counts()
        with self._guard:
            self.counts += counts
        self._live.observer.call_done(self._step.label, counts)

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        """Keep a row that failed, with its content and the reason."""
        assert self._table is not None
        content = self._table.slice(row, 1).to_pylist()[0]
        row_id = content.pop(ROW_ID)
        self.rejects[row] = Reject(
            row_id=row_id,
            block=self._step.label,
            error=error,
            message=message,
            attempts=attempts,
            raw=raw,
            transient=transient,
            cost_usd=self._costs.get(row_id, 0.0),
            row=canonical(content).decode("utf-8", "replace"),
        )

    def note_unparsed(self, choices: int = 1) -> None:
        """Count choices without a result."""
        with self._guard:
            self.counts += Counts(unparsed=choices)

    def random(self, row_id: str) -> random.Random:
        """Return a generator seeded by the block's key and the row."""
        return row_random(self._step, row_id)

    def log(self, message: str) -> None:
        """Write a line to the run's log."""
        logger.info("%s: %s", self._step.label, message)
