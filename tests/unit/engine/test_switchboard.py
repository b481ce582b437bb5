"""Blocks at work elsewhere ask the gateway of their run over a line that may break, and of workers that may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sdg_prefect.blocks.base import Block
from sdg_prefect.engine.asking import Asking
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.runners import line as lines
from sdg_prefect.engine.runners import switchboard
from sdg_prefect.engine.runners.in_threads import InThreads
from sdg_prefect.engine.runners.line import Caller, Line, LineDown, check_line
from sdg_prefect.engine.runners.switchboard import Switchboard
from sdg_prefect.engine.runners.wire import Question
from sdg_prefect.engine.threads import Threads
from sdg_prefect.errors import EndpointError
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.report.progress import Silent
from sdg_prefect.settings import Settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.store.root import Root
from tests.ports import free_port

Answers = Sequence[Completion | Failure]


@pytest.fixture
def model() -> Iterator[SimulatedModel]:
    with SimulatedModel(SimulatorSettings()) as served:
        yield served


@dataclass
class Bench:
    """A run as far as its workers see it."""

    live: Live
    asking: Asking
    board: Switchboard
    line: Line

    async def asked(self, requests: Sequence[Request], caller: Caller | None = None, again: frozenset[str] = frozenset()) -> Any:
        """Ask as a worker does, in a thread."""
        return await asyncio.wrap_future(self.asks(requests, caller, again))

    def asks(
        self, requests: Sequence[Request], caller: Caller | None = None, again: frozenset[str] = frozenset()
    ) -> Future[Answers]:
        """Begin to ask."""
        return Threads().submit((caller or Caller(self.line)).ask, requests, again)


def on_a_bench(model: SimulatedModel, folder: Path, use: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Let a worker have a line to a run, for one shard of a block that asks."""

    async def run() -> None:
        endpoint = Endpoint(model="teacher", api_base=model.url, client="openai")
        gateway = Gateway({"teacher": endpoint}, connect, Settings(call_backoff=0.01, call_attempts=2))
        threads = Threads()
        root, loop = Root.at(folder), asyncio.get_running_loop()
        live = Live(root, gateway, Silent(), "run", Sizes(None, 1), threads, InThreads(threads), loop)
        step = Step("ask", "ask", Block(block_name="ask"), "key", "ledger", "row")
        asking = Asking(live, step, "content")
        async with Switchboard().opened("127.0.0.1") as board:
            with board.connected(asking) as (line, _):
                await use(Bench(live, asking, board, line))
        await live.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def requests(count: int) -> list[Request]:
    return [
        Request("teacher", f"row {number}", messages=[{"role": "user", "content": f"Say {number}."}]) for number in range(count)
    ]


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_a_worker_gets_the_answers_that_the_run_itself_would_get(model: SimulatedModel, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        answers = await bench.asked(requests(5))
        here = await bench.asking.complete(requests(5), frozenset())
        assert answers == here
        assert not any(isinstance(answer, Failure) or answer.replayed for answer in here)
        assert model.stats()["completions"] == 5

    on_a_bench(model, tmp_path, use)


def test_answers_that_take_long_are_come_back_for(model: SimulatedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard, "_HOLD", 0.05)
    model.change(latency=0.4)

    async def use(bench: Bench) -> None:
        assert len(await bench.asked(requests(3))) == 3
        assert model.stats()["completions"] == 3

    on_a_bench(model, tmp_path, use)


def test_what_a_lost_worker_asked_is_not_asked_again_for_the_next_one(model: SimulatedModel, tmp_path: Path) -> None:
    model.change(latency=0.3)

    async def use(bench: Bench) -> None:
        cut_off = Caller(bench.line)
        lost = bench.asks(requests(4), cut_off)
        await until(lambda: model.stats()["in_flight"] == 4)
        answers = await bench.asked(requests(6))
        assert not any(answer.replayed for answer in answers)
        assert model.stats()["completions"] == 6
        assert bench.asking.counts.llm_calls == 6
        # It was not dead, only cut off: nobody waits for what it does with the answers.
        assert await _failure_of(lost) is None
        assert isinstance(await _failure_of(bench.asks(requests(1), cut_off)), asyncio.CancelledError)

    on_a_bench(model, tmp_path, use)


async def _failure_of(asked: Future[Answers]) -> BaseException | None:
    await until(asked.done)
    return asked.exception()


def test_a_question_that_arrives_twice_is_taken_once(model: SimulatedModel, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        path, content = f"/asked/{bench.line.job}/attempt/0", Question(tuple(requests(2))).encode()
        async with httpx.AsyncClient(base_url=bench.line.url, headers={"Authorization": f"Bearer {bench.line.token}"}) as client:
            twice = await asyncio.gather(client.post(path, content=content), client.post(path, content=content))
            replies = [*twice, await client.get(path)]
        assert [reply.status_code for reply in replies] == [200, 200, 200]
        assert len({reply.content for reply in replies}) == 1
        assert model.stats()["completions"] == 2

    on_a_bench(model, tmp_path, use)


def test_rows_are_asked_for_again_where_the_block_wants_it(model: SimulatedModel, tmp_path: Path) -> None:
    async def earlier(bench: Bench) -> None:
        await bench.asked(requests(3))

    async def use(bench: Bench) -> None:
        assert [answer.replayed for answer in await bench.asked(requests(3))] == [True, True, True]
        again = await bench.asked(requests(3), again=frozenset({"row 1", "row of another shard"}))
        assert [answer.replayed for answer in again] == [True, False, True]
        assert model.stats()["completions"] == 4

    on_a_bench(model, tmp_path, earlier)
    on_a_bench(model, tmp_path, use)


def test_a_run_that_is_stopping_ends_the_wait_of_its_workers(model: SimulatedModel, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        bench.live.gateway.stop()
        assert isinstance(await _failure_of(bench.asks(requests(2))), asyncio.CancelledError)
        assert model.stats()["calls"] == 0

    on_a_bench(model, tmp_path, use)


def test_why_an_endpoint_refused_stays_with_the_run(model: SimulatedModel, tmp_path: Path) -> None:
    model.change(api_key="another")

    async def use(bench: Bench) -> None:
        with bench.board.connected(bench.asking) as (line, job):
            assert isinstance(await _failure_of(bench.asks(requests(2), Caller(line))), asyncio.CancelledError)
            assert isinstance(job.failure, EndpointError)

    on_a_bench(model, tmp_path, use)


def test_nobody_is_served_without_the_token_of_the_run(model: SimulatedModel, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        await asyncio.to_thread(check_line, bench.board.line)
        assert bench.line.token not in repr(bench.line)
        for token in ("guessed", bench.line.token[:-1], bench.line.token + "é"):
            async with httpx.AsyncClient(base_url=bench.line.url) as client:
                given = httpx.Headers({b"Authorization": f"Bearer {token}".encode()})
                content = Question(tuple(requests(1))).encode()
                replies = [
                    await client.get("/", headers=given),
                    await client.post(f"/asked/{bench.line.job}/attempt/0", headers=given, content=content),
                ]
            assert [reply.status_code for reply in replies] == [401, 401]
        with pytest.raises(LineDown, match="something else than the run"):
            await asyncio.to_thread(check_line, replace(bench.line, token="guessed"))
        assert model.stats()["calls"] == 0

    on_a_bench(model, tmp_path, use)


def test_a_line_that_is_down_for_a_while_is_waited_for(
    model: SimulatedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(bench: Bench) -> None:
        port = free_port()
        away = replace(bench.line, url=f"http://127.0.0.1:{port}")
        waiting = bench.asks(requests(2), Caller(away))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        board = Switchboard()
        monkeypatch.setattr(board, "_token", bench.line.token)
        monkeypatch.setattr(board, "_jobs", bench.board._jobs)
        async with board.opened("127.0.0.1", port):
            answers: Answers = await asyncio.wrap_future(waiting)
            assert len(answers) == 2

    on_a_bench(model, tmp_path, use)


def test_a_run_that_is_gone_is_given_up_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PATIENCE", 0.3)
    gone = Line(f"http://127.0.0.1:{free_port()}", "token", "job")
    with pytest.raises(LineDown, match="cannot be reached from this worker any more"):
        Caller(gone).ask(requests(1), frozenset())
    with pytest.raises(LineDown, match=r"cannot be reached at http://127\.0\.0\.1"):
        check_line(gone)


def test_what_is_no_question_is_answered_in_words(model: SimulatedModel, tmp_path: Path) -> None:
    async def use(bench: Bench) -> None:
        async with httpx.AsyncClient(base_url=bench.line.url, headers={"Authorization": f"Bearer {bench.line.token}"}) as client:
            assert (await client.post(f"/asked/{bench.line.job}/attempt/0", content=b"{}")).status_code == 400
            assert (await client.get(f"/asked/{bench.line.job}/attempt/9")).status_code == 410
            assert (await client.post("/asked/no-job/attempt/0", content=b"{}")).status_code == 410

    on_a_bench(model, tmp_path, use)
