"""What a run that is on may still need: nothing of it is removed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.store.housekeeping.uses import Uses, read_uses_of
from sdg_prefect.store.sharing.presence import is_alive, presences

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

_PATIENCE = 240.0
"""Seconds more of silence than others allow a run: its clock may be another one, and what it needs is not to be had again."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The runs that are on, and what their flows may ask of the store at any moment."""

    living: Mapping[str, Uses | None]
    """By id of the run; None as long as it has not said what it uses."""

    @classmethod
    def of(cls, root: Root) -> Guard:
        """See which runs are on. One on another machine counts for some minutes after it was last heard of."""
        now = time.time() - _PATIENCE
        return cls(read_uses_of(root, [presence.run_id for presence in presences(root) if is_alive(presence, now)]))

    def keeps(self, path: str) -> bool:
        """True for a file that one of the runs may read or is writing."""
        if not self.living:
            return False
        part, _, rest = path.partition("/")
        name = rest.split("/")[0]
        if part == "runs":
            return name in self.living
        if part == "checkpoints":
            return any(uses is None or name in uses.block_keys for uses in self.living.values())
        if part == "ledger":
            return any(uses is None or name in uses.ledger_keys for uses in self.living.values())
        # The seeds may be about to be found again; a folder being written does not say whose it is.
        return part in ("inputs", "tmp", "claims", "batches")
