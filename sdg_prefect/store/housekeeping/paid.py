"""How many completions files of the ledger hold, and what they cost."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.store.ledger.segments import SEGMENT
from sdg_prefect.store.listing import StoredFile, read_files

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Paid:
    """Completions, and what they cost."""

    completions: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
    """False where some have no known price."""

    def __add__(self, other: Paid) -> Paid:
        return Paid(self.completions + other.completions, self.cost_usd + other.cost_usd, self.cost_known and other.cost_known)

    def __str__(self) -> str:
        cost = f"${self.cost_usd:,.4f}" if self.cost_known else f"${self.cost_usd:,.4f} and more, of unknown price"
        return f"{self.completions:,} completion{'' if self.completions == 1 else 's'} that cost {cost}"


def count_paid(root: Root, files: Iterable[StoredFile]) -> Paid:
    """Read files of the ledger and count what is in them, each completion once."""
    by_key: defaultdict[str, list[str]] = defaultdict(list)
    for file in files:
        if file.path.endswith(SEGMENT):
            by_key[file.path.split("/")[1]].append(file.path)
    return sum((_count(root, paths) for paths in by_key.values()), Paid())


def _count(root: Root, paths: Sequence[str]) -> Paid:
    """Count the completions of one block."""
    costs: dict[str, float | None] = {}
    for start in range(0, len(paths), _AT_ONCE):
        for content in read_files(root, paths[start : start + _AT_ONCE]).values():
            for line in content.split(b"\n"):
                with suppress(ValueError, KeyError, TypeError):
                    completion = json.loads(line)
                    costs[completion["key"]] = completion["cost_usd"]
    known = [cost for cost in costs.values() if cost is not None]
    return Paid(len(costs), math.fsum(known), len(known) == len(costs))
