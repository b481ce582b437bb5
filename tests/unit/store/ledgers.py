"""Runs that do nothing but keep completions and look for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from sdg_prefect.store.ledger.completions import BlockLedger, ShardLedger
from sdg_prefect.store.ledger.files import files_of
from sdg_prefect.store.root import Root

FIRST, SECOND, THIRD = (f"20260101-00000{number}-aaaaaa" for number in (1, 2, 3))


def on(place: str, run_id: str, work: Callable[[BlockLedger], Awaitable[Any]]) -> Any:
    """Do something with the ledger of one run, and close it."""

    async def body() -> Any:
        ledger = BlockLedger(Root.at(place), "ask", run_id)
        try:
            return await work(ledger)
        finally:
            await ledger.close()

    return asyncio.run(body())


async def keep_all(shard: ShardLedger, records: Mapping[str, Mapping[str, Any]]) -> None:
    for key, record in records.items():
        shard.keep(key, record)
    await shard.flush()


async def find_all(shard: ShardLedger, keys: Iterable[str]) -> list[dict[str, Any] | None]:
    return await asyncio.gather(*map(shard.find, keys))


def write(place: str, run_id: str, content: str, records: Mapping[str, Mapping[str, Any]], *, seals: bool = True) -> None:
    """Keep completions in a run of its own."""

    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard(content)
        await keep_all(shard, records)
        if seals:
            await asyncio.to_thread(shard.seal)

    on(place, run_id, work)


def read(place: str, content: str, keys: Iterable[str], run_id: str = THIRD) -> list[dict[str, Any] | None]:
    """Look for completions in a run of its own, which is then over."""
    wanted = list(keys)
    found: list[dict[str, Any] | None] = on(place, run_id, lambda ledger: find_all(ledger.shard(content), wanted))
    return found


def files(place: str) -> list[str]:
    """Return the files under the ask key, as ``<content>/<name>``."""
    return sorted(path.removeprefix("ledger/ask/") for path in files_of(Root.at(place)).sizes("ledger/ask"))


def numbered(count: int) -> dict[str, dict[str, Any]]:
    return {f"key {number}": {"text": f"Où ça ?\n{number}"} for number in range(count)}
