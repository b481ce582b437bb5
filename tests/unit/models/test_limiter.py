"""How many calls are sent at once and in a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.limiter import Lane, Limiter
from sdg_prefect.models.pacing import Bucket, Concurrency
from sdg_prefect.models.queue import Permit
from sdg_prefect.models.share import Share
from sdg_prefect.settings import Settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.kept import Kept

PROMPT = Request("teacher", "row", prompt="x" * 400)
ANSWER = Completion((Choice("yes"),), tokens_in=100, tokens_out=50)


class Time:
    """A clock that goes when it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(retry_after: float | None = None) -> CallError:
    return CallError(judge(429, ""), "slow down", retry_after)


def answer_window(calls: Concurrency) -> None:
    """Answer as many calls as may be open, all of which were."""
    for _ in range(calls.limit):
        calls.note_answer(calls.limit)


def test_calls_at_once_double_with_each_window_until_the_limit() -> None:
    calls = Concurrency(100)
    seen = []
    for _ in range(4):
        seen.append(calls.limit)
        answer_window(calls)
    assert seen == [16, 32, 64, 100]
    assert (calls.limit, Concurrency(5).limit) == (100, 5)


def test_answers_where_more_was_allowed_prove_nothing() -> None:
    calls = Concurrency(100)
    for _ in range(1000):
        calls.note_answer(15)
    assert calls.limit == 16


def test_a_burst_of_refusals_cuts_once() -> None:
    calls = Concurrency(100)
    sent = [calls.send() for _ in range(16)]
    calls.note_refusal(sent[0], 16)
    assert calls.limit == 10
    calls.note_refusal(sent[1], 15)
    assert calls.limit == 9  # 14 were accepted, not 15
    for number in sent[2:]:
        calls.note_refusal(number, 16)
    assert calls.limit == 5  # 0.7 of half of them, whatever else goes wrong in this burst
    calls.note_refusal(calls.send(), 6)
    assert calls.limit == 3


def test_calls_at_once_never_fall_below_one() -> None:
    calls = Concurrency(4)
    for _ in range(20):
        calls.note_refusal(calls.send(), 1)
    assert calls.limit == 1


def test_after_a_cut_they_double_to_what_was_accepted_and_then_grow_by_one() -> None:
    calls = Concurrency(100)
    calls.note_refusal(calls.send(), 25)
    seen = []
    for _ in range(5):
        seen.append(calls.limit)
        answer_window(calls)
    assert seen == [16, 24, 25, 26, 27]


def test_what_was_refused_again_is_tried_less_and_less_often() -> None:
    calls = Concurrency(100)
    waits = []
    for _ in range(7):
        calls.note_refusal(calls.send(), 25)
        while calls.limit < 24:
            answer_window(calls)
        windows = 0
        while calls.limit < 25:
            answer_window(calls)
            windows += 1
        waits.append(windows)
    assert waits[:5] == sorted(waits[:5])
    assert (waits[0], waits[-1]) == (1, 32)


def test_nothing_more_is_tried_soon_after_a_costly_refusal() -> None:
    clock = Time()
    calls = Concurrency(100, clock)
    calls.note_refusal(calls.send(), 25, rest=2.0)
    for _ in range(50):
        answer_window(calls)
    assert calls.limit == 24
    clock.now += 120.0
    answer_window(calls)
    assert calls.limit == 25


def test_an_allowance_comes_in_steadily() -> None:
    clock = Time()
    bucket = Bucket.by_minute(600, clock)
    sent = 0
    for _ in range(60):
        while bucket.wait(1) == 0:
            bucket.take(1)
            sent += 1
            assert sent <= 30 + 10 * (clock.now - 1000)
        clock.now += 1.0
    assert sent == 30 + 590


def test_more_than_a_bucket_is_taken_when_it_is_full_and_paid_afterwards() -> None:
    clock = Time()
    bucket = Bucket.by_minute(60, clock)
    assert bucket.wait(100) == 0
    bucket.take(100)
    assert bucket.wait(1) == pytest.approx(98)
    bucket.take(-90)
    assert bucket.wait(1) == pytest.approx(8)


async def until_idle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def enter(lane: Lane, count: int, *, again: bool = False, block: str = "") -> list[asyncio.Task[Permit]]:
    request = replace(PROMPT, block=block)
    return [asyncio.ensure_future(lane.queue.enter(request, again=again)) for _ in range(count)]


def done(tasks: list[asyncio.Task[Any]]) -> list[bool]:
    return [task.done() and not task.cancelled() for task in tasks]


def lanes(clock: Callable[[], float], most: int, *fields: dict[str, int]) -> tuple[Limiter, list[Lane]]:
    limiter = Limiter(most, clock)
    return limiter, [limiter.lane(Endpoint.model_validate({"model": "m", **each})) for each in fields]


def test_a_share_bounds_the_calls_of_all_its_addresses() -> None:
    async def run() -> None:
        share = Share()
        one, other = (Limiter(9, Time(), share).lane(Endpoint(model=name)) for name in "ab")
        tasks = enter(one, 4) + enter(other, 2)
        await until_idle()
        assert (done(tasks), share.wanted) == ([False] * 6, 6)
        share.grant(3)
        await until_idle()
        assert (sum(done(tasks)), share.open_calls, share.wanted) == (3, 3, 6)
        share.grant(2)
        for task in [task for task in tasks if task.done()]:
            permit = task.result()
            assert permit.lane is not None
            permit.lane.leave(permit)
        await until_idle()
        assert (sum(done(tasks)), share.open_calls) == (5, 2)
        share.grant(9)
        await until_idle()
        assert (sum(done(tasks)), share.open_calls, share.wanted) == (6, 3, 3)

    asyncio.run(run())


def test_who_comes_first_is_let_through_first_and_who_was_refused_before_them() -> None:
    async def run() -> None:
        limiter, (lane,) = lanes(Time(), 1, {})
        first, *waiting = enter(lane, 3)
        await until_idle()
        again = enter(lane, 1, again=True)
        await until_idle()
        assert done([first, *waiting, *again]) == [True, False, False, False]
        order = [first, again[0], *waiting]
        for place, task in enumerate(order):
            lane.leave(await task, ANSWER)
            await until_idle()
            assert done(order) == [True] * min(place + 2, 4) + [False] * (2 - place)
        assert limiter.open_calls == 0

    asyncio.run(run())


async def served_in_order(**calls: int) -> list[str]:
    """Let blocks ask for calls, one of which may be open, and return who was let through when."""
    _, (lane,) = lanes(Time(), 1, {})
    names = {task: name for name, count in calls.items() for task in enter(lane, count, block=name)}
    order = []
    while names:
        await until_idle()
        (granted,) = [task for task in names if task.done()]
        order.append(names.pop(granted))
        lane.leave(granted.result(), ANSWER)
    return order


def test_blocks_take_turns_so_that_the_last_one_need_not_wait_for_all_calls_of_the_first() -> None:
    order = asyncio.run(served_in_order(first=30, second=2, last=1))
    assert order == ["first", "first", "second", "last", "first", "second", *["first"] * 27]


def test_once_few_calls_wait_they_are_served_as_they_came_so_that_none_with_a_long_way_to_go_is_left_for_the_end() -> None:
    assert asyncio.run(served_in_order(first=5, second=2, last=1)) == [*["first"] * 5, *["second"] * 2, "last"]


def test_who_does_not_wait_any_more_leaves_no_call_open() -> None:
    async def run() -> None:
        limiter, (lane,) = lanes(Time(), 1, {})
        first, waiting, granted, last = enter(lane, 4)
        await until_idle()
        waiting.cancel()
        await until_idle()
        lane.leave(await first, ANSWER)
        granted.cancel()  # it has its permit, and does not know yet
        await until_idle()
        assert done([waiting, granted, last]) == [False, False, True]
        lane.leave(await last)
        assert limiter.open_calls == 0

    asyncio.run(run())


def test_an_address_that_asks_for_rest_gets_nothing_from_any_model_until_then() -> None:
    async def run() -> None:
        clock = Time()
        limiter, (one, other) = lanes(clock, 4, {}, {})
        (first,) = enter(one, 1)
        one.leave(await first, refused(5.0))
        waiting = enter(one, 1) + enter(other, 1)
        clock.now += 4.9
        limiter.serve()
        await until_idle()
        assert done(waiting) == [False, False]
        clock.now += 0.2
        limiter.serve()
        await until_idle()
        assert sorted(done(waiting)) == [False, True]  # the limit was cut to one

    asyncio.run(run())


def test_a_model_at_its_allowance_does_not_hold_up_others_at_its_address() -> None:
    async def run() -> None:
        _, (slow, quick) = lanes(Time(), 9, {"requests_per_minute": 20}, {})
        tasks = enter(slow, 2) + enter(quick, 2)
        await until_idle()
        assert done(tasks) == [True, False, True, True]
        tasks[1].cancel()
        await until_idle()

    asyncio.run(run())


@pytest.mark.parametrize(("limit", "left"), [("tokens_per_minute", 100), ("output_tokens_per_minute", 50)])
def test_tokens_are_corrected_by_the_reply(limit: str, left: int) -> None:
    async def run() -> None:
        clock = Time()
        _, (lane,) = lanes(clock, 9, {limit: 60})
        (first,) = enter(lane, 1)
        lane.leave(await first, ANSWER)
        assert lane.rates.wait(Permit(1.0)) == pytest.approx(left - 3 + (1 if limit == "tokens_per_minute" else 3))
        clock.now += left
        (failed,) = enter(lane, 1)
        lane.leave(await failed, refused())
        assert lane.rates.wait(Permit(1.0)) == 0

    asyncio.run(run())


def test_a_server_that_takes_fewer_calls_than_we_may_send_refuses_few() -> None:
    async def ask(url: str) -> list[Completion | Failure]:
        endpoint = Endpoint(model="simulated/teacher", api_base=url, max_concurrency=64)
        gateway = Gateway({"teacher": endpoint}, connect, Settings(call_backoff=0.02))
        asked = [Request("teacher", str(number), [{"role": "user", "content": f"Say {number}."}]) for number in range(600)]
        answers = await gateway.complete(asked, Kept(), lambda _: None)
        await gateway.close()
        return answers

    server = SimulatorSettings(latency=0.1, latency_jitter=0.05, max_concurrency=24, retry_after=0.05)
    with SimulatedModel(server) as model:
        answers = asyncio.run(ask(model.url))
        by_status = model.stats()["by_status"]
    assert [type(answer) for answer in answers] == [Completion] * 600
    assert 0 < by_status["429"] < 0.1 * 600
