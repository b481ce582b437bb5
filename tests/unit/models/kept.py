"""A ledger that lasts as long as its test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sdg_prefect.errors import StoreError


class Kept(dict[str, Mapping[str, Any]]):
    """A ledger in memory, which may be full, and counts how often each completion was kept."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False
        self.times: Counter[str] = Counter()
        self.durable = 0
        """Completions that were there when somebody waited for them to be durable."""

    async def open(self) -> None:
        pass

    async def find(self, key: str) -> Mapping[str, Any] | None:
        return self.get(key)

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        if self.is_full:
            raise StoreError("cannot write the ledger: no space left on device.")
        self[key] = record
        self.times[key] += 1

    async def flush(self) -> None:
        self.durable = len(self)
