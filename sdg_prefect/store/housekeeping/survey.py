"""All that a store holds, by one listing: which files belong together, which run refers to them, and which run is on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sdg_prefect.store.housekeeping.uses import Uses, read_uses_of
from sdg_prefect.store.listing import StoredFile, list_files

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

_DEPTH = {"checkpoints": 3, "ledger": 3, "inputs": 2, "runs": 2, "tmp": 2}
"""By part of the store: how many words of a path name what is kept or removed as one."""


def unit_of(path: str) -> str:
    """Return what a file is kept or removed with: a checkpoint, the completions on one shard, a run, ..."""
    words = path.rstrip("/").split("/")
    return "/".join(words[: _DEPTH.get(words[0], len(words))])


@dataclass(frozen=True)
class Survey:
    """What a store held when it was looked at."""

    root: Root
    files: Sequence[StoredFile]
    uses: dict[str, Uses | None]
    """What each run uses, by its id; None where it did not say."""

    @classmethod
    def of(cls, root: Root) -> Survey:
        """Look at a store."""
        files = list_files(root)
        ids = sorted({file.path.split("/")[1] for file in files if file.path.startswith("runs/") and file.path.count("/") > 1})
        return cls(root, files, read_uses_of(root, ids))

    @cached_property
    def units(self) -> dict[str, list[StoredFile]]:
        """The files of each checkpoint, run, and so on."""
        found: defaultdict[str, list[StoredFile]] = defaultdict(list)
        for file in self.files:
            found[unit_of(file.path)].append(file)
        return dict(found)

    @cached_property
    def _by_key(self) -> dict[str, list[str]]:
        """The checkpoints of each block key and the completions of each ledger key."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for unit in self.units:
            found["/".join(unit.split("/")[:2])].append(unit)
        return found

    @cached_property
    def referred(self) -> dict[str, set[str]]:
        """By run: the units that it refers to, besides its own folder."""
        return {run_id: self._referred_by(uses) for run_id, uses in self.uses.items()}

    def _referred_by(self, uses: Uses | None) -> set[str]:
        if uses is None:
            return set()
        may = {unit for key in uses.ledger_keys for unit in self._by_key.get(f"ledger/{key}", ())}
        if uses.checkpoints is None:
            may |= {unit for key in uses.block_keys for unit in self._by_key.get(f"checkpoints/{key}", ())}
        may |= {unit_of(path) for path in (uses.input, *(uses.checkpoints or ()))}
        return may & self.units.keys()

    def only_of(self, run_ids: Sequence[str]) -> set[str]:
        """Return the units that some runs refer to and no other run does."""
        of_these = Counter(unit for run_id in run_ids for unit in self.referred.get(run_id, ()))
        return {unit for unit, runs in of_these.items() if runs == self._runs[unit]}

    @cached_property
    def _runs(self) -> Counter[str]:
        """How many runs refer to each unit."""
        return Counter(unit for units in self.referred.values() for unit in units)

    @cached_property
    def last_used(self) -> dict[str, float]:
        """By unit: when it was written, or when the last run that refers to it began or ended."""
        last = {unit: max(file.changed for file in files) for unit, files in self.units.items()}
        for run_id, units in self.referred.items():
            when = last[f"runs/{run_id}"]
            for unit in units:
                last[unit] = max(last[unit], when)
        return last

    def size(self, unit: str) -> int:
        """Return the bytes of a unit."""
        return sum(file.size for file in self.units.get(unit, ()))

    @cached_property
    def names(self) -> dict[str, str]:
        """Names of blocks by their key, ``checkpoints/…`` or ``ledger/…``, as the latest run has them."""
        found: dict[str, str] = {}
        for run_id in sorted(self.uses):
            uses = self.uses[run_id]
            if uses is not None:
                found |= {f"checkpoints/{key}": name for key, name in uses.block_keys.items()}
                found |= {f"ledger/{key}": name for key, name in uses.ledger_keys.items()}
        return found
