"""What does the work on a shard, while all else stays with the run: Prefect's task run, the claim, the calls, the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sdg_prefect.engine.asking import Asking
    from sdg_prefect.engine.working import Assignment
    from sdg_prefect.store.checkpoints import Checkpoint


class Runner(Protocol):
    """Has blocks at work on shards. Lives on the run's event loop."""

    @property
    def shards_at_once(self) -> int:
        """How many shards keep it busy; 0 where it does not matter."""
        ...

    async def work(self, assignment: Assignment, asking: Asking) -> Checkpoint:
        """Have a block work on its shards, once; see ``working.work``.

        Args:
            assignment: What is to be done.
            asking: Takes what the block asks.

        Raises:
            TransientError: Calls failed, or workers were lost, for a reason that may pass.
            SdgError: The work cannot be done.
            CancelledError: The run is stopping.
        """
        ...
