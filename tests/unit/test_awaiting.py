"""Beginning many jobs without keeping others waiting, and ending them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from sdg_prefect.awaiting import few_at_a_time


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_jobs_return_in_the_order_of_their_items() -> None:
    assert asyncio.run(_all(100)) == [2 * number for number in range(100)]


async def _all(count: int) -> list[int]:
    return await few_at_a_time(range(count), _double, asyncio.Lock())


def test_what_is_ready_has_its_turn_while_many_jobs_begin() -> None:
    begun: list[int] = []
    seen: list[int] = []

    async def begin(number: int) -> None:
        begun.append(number)

    async def look() -> None:
        while len(begun) < 1000:
            seen.append(len(begun))
            await asyncio.sleep(0)

    async def both() -> None:
        await asyncio.gather(few_at_a_time(range(1000), begin, asyncio.Lock()), look())

    asyncio.run(both())
    assert len(seen) > 50
    assert max(later - earlier for earlier, later in pairwise(seen)) <= 32


def test_one_caller_begins_all_its_jobs_before_the_next() -> None:
    begun: list[str] = []

    async def begin(name: str) -> None:
        begun.append(name)

    async def both() -> None:
        turns = asyncio.Lock()
        await asyncio.gather(few_at_a_time(["a"] * 100, begin, turns), few_at_a_time(["b"] * 100, begin, turns))

    asyncio.run(both())
    assert begun == ["a"] * 100 + ["b"] * 100


def test_a_failure_is_raised_when_all_others_have_ended() -> None:
    ended: list[int] = []

    async def begin(number: int) -> None:
        if number == 3:
            raise ValueError("the third")
        await asyncio.sleep(0.01)
        ended.append(number)

    async def run() -> None:
        await few_at_a_time(range(50), begin, asyncio.Lock())

    with pytest.raises(ValueError, match="the third"):
        asyncio.run(run())
    assert len(ended) == 49


@pytest.mark.parametrize("turns_before", [1, 3, 50], ids=["while jobs begin", "a little later", "when all have begun"])
def test_jobs_end_with_their_caller(turns_before: int) -> None:
    begun: list[int] = []
    cancelled: list[int] = []

    async def begin(number: int) -> None:
        begun.append(number)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise

    async def run() -> None:
        turns = asyncio.Lock()
        caller = asyncio.create_task(few_at_a_time(range(200), begin, turns))
        for _ in range(turns_before):
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not turns.locked()

    asyncio.run(run())
    assert cancelled == begun
