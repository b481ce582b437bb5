"""The context that a block sees while it is at work on a shard, on whatever machine that is."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Protocol

from sdg_prefect.counts import Counts, Sum
from sdg_prefect.engine.doing import row_random
from sdg_prefect.engine.log import logger
from sdg_prefect.errors import EndpointError, TransientError
from sdg_prefect.frequencies import WARNING, Frequencies
from sdg_prefect.frozen import canonical
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import ROW_ID, is_reserved
from sdg_prefect.store.checkpoints import Reject

if TYPE_CHECKING:
    import pyarrow as pa


class Ask(Protocol):
    """How a block at work reaches the gateway of its run: in the same process, or over the network."""

    def __call__(self, requests: Sequence[Request], again: Set[str]) -> Sequence[Completion | Failure]:
        """Wait for all answers and return them in the order of the requests.

        Args:
            requests: What to ask.
            again: Ids of the rows for which earlier completions do not count.

        Raises:
            EndpointError: An endpoint cannot serve this run any more.
            CancelledError: The run is stopping.
        """
        ...


class ShardContext:
    """The context of one block in one attempt at one shard; see ``Context``."""

    def __init__(
        self, step: Step, table: pa.Table, ask: Ask, *, is_last_attempt: bool = True, again: Set[str] = frozenset()
    ) -> None:
        """Make the context.

        Args:
            step: The block.
            table: The rows, with their ids.
            ask: Reaches the models.
            is_last_attempt: True if Prefect will not try again.
            again: Ids of the rows for which earlier completions do not count.
        """
        self._step = step
        self._table = table
        self._ask = ask
        self._is_last_attempt = is_last_attempt
        self._again = again
        self._guard = threading.Lock()
        self.rejects: dict[int, Reject] = {}
        self.counts = Counts()
        self.seen = Frequencies()
        self._costs: dict[str, float | None] = {}
        self._replayed: set[str] = set()

    @property
    def outdated(self) -> Set[str]:
        """Ids of the rows that were rejected for what earlier runs were told."""
        return {reject.row_id for reject in self.rejects.values()} & self._replayed

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Ask, and wait for all answers."""
        if not requests:
            return []
        if not self._step.ledger_key:
            raise TypeError(f"block '{self._step.name}' asks a model but does not name it in model_ids()")
        answers = self._ask(requests, self._again)
        called = Sum()
        with self._guard:
            for answer in answers:
                if isinstance(answer, Completion):
                    called.add(answer.counted())
                    self.seen.note(answer.sightings())
            self.counts += called.counts
        self._raise_if_passing(requests, answers)
        self._remember(requests, answers)
        return answers

    def _remember(self, requests: Sequence[Request], answers: Sequence[Completion | Failure]) -> None:
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Completion):
                if answer.replayed:
                    self._replayed.add(request.row_id)
                before = self._costs.get(request.row_id, 0.0)
                known = before is not None and answer.cost_usd is not None
                self._costs[request.row_id] = before + answer.cost_usd if known else None  # type: ignore[operator]

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

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        """Keep a row that failed, with its content and the reason."""
        content = self._table.slice(row, 1).to_pylist()[0]
        row_id = content[ROW_ID]
        self.rejects[row] = Reject(
            row_id=row_id,
            block=self._step.label,
            error=error,
            message=message,
            attempts=attempts,
            raw=raw,
            transient=transient,
            cost_usd=self._costs.get(row_id, 0.0),
            row=canonical({name: value for name, value in content.items() if not is_reserved(name)}).decode("utf-8", "replace"),
        )

    def note_unparsed(self, choices: int = 1) -> None:
        """Count choices without a result."""
        with self._guard:
            self.counts += Counts(unparsed=choices)

    def random(self, row_id: str) -> random.Random:
        """Return a generator seeded by the block's key and the row."""
        return row_random(self._step, row_id)

    def warn(self, message: str) -> None:
        """Keep a warning with what the shard gives, which its run and its report tell."""
        with self._guard:
            self.seen.note([(WARNING, message, 1)])

    def log(self, message: str) -> None:
        """Write a line to the run's log."""
        logger.info("%s: %s", self._step.label, message)
