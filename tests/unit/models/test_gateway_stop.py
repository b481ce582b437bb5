"""What the gateway does when the run is to end: nothing more is sent, and what is in flight is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from sdg_prefect.errors import EndpointError, StoreError
from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach, Verdict
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.settings import Settings
from tests.unit.models.kept import Kept

PATIENT = Settings(concurrency=2, call_backoff=1e6, call_backoff_max=1e6)
BUSY = Verdict(Reach.CALL, "ServerError")


class Model:
    """A client whose calls stay open until they are let go."""

    def __init__(self, *failures: CallError | None) -> None:
        self.sent: list[str] = []
        self.let_go = asyncio.Event()
        self.failures = list(failures)
        self.failure_at_last: CallError | None = None

    async def complete(self, request: Request) -> Completion:
        self.sent.append(request.row_id)
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        await self.let_go.wait()
        if self.failure_at_last is not None:
            raise self.failure_at_last
        return Completion((Choice(f"answer to {request.row_id}"),))

    async def close(self) -> None:
        self.let_go.set()


def requests(count: int) -> list[Request]:
    return [Request("teacher", f"row {number}", prompt="?") for number in range(count)]


def gateway(model: Model, settings: Settings = PATIENT) -> Gateway:
    return Gateway({"teacher": Endpoint(model="teacher")}, lambda _: model, settings)


def ask(gateway: Gateway, asked: Sequence[Request], ledger: Kept) -> asyncio.Task[list[Completion | Failure]]:
    return asyncio.ensure_future(gateway.complete(asked, ledger, lambda _: None))


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)


def in_time(work: Awaitable[None]) -> None:
    """Run with a bound that only a hang exceeds."""

    async def bounded() -> None:
        await asyncio.wait_for(work, 60)

    asyncio.run(bounded())


async def stopped_answers(asking: asyncio.Task[Any]) -> None:
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_what_is_in_flight_is_kept_and_the_rest_is_not_sent() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        calls = gateway(model)
        asking = ask(calls, requests(5), kept)
        await until(lambda: calls.in_flight == 2)
        calls.stop()
        await asyncio.sleep(0)
        assert not asking.done()
        model.let_go.set()
        await stopped_answers(asking)
        assert (model.sent, len(kept)) == (["row 0", "row 1"], 2)

    in_time(run())


def test_a_shard_whose_calls_are_all_in_flight_gets_its_answers() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        calls = gateway(model)
        asking = ask(calls, requests(2), kept)
        await until(lambda: calls.in_flight == 2)
        calls.stop()
        model.let_go.set()
        assert len(await asking) == len(kept) == kept.durable == 2

    in_time(run())


def test_what_the_ledger_knows_is_answered_after_the_stop() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        model.let_go.set()
        calls = gateway(model)
        await ask(calls, requests(3), kept)
        calls.stop()
        answers = await ask(calls, requests(3), kept)
        assert all(isinstance(answer, Completion) and answer.replayed for answer in answers)
        await stopped_answers(ask(calls, requests(4), kept))
        assert len(model.sent) == 3

    in_time(run())


@pytest.mark.parametrize("retry_after", [None, 1e6])
def test_a_wait_for_the_next_attempt_ends_at_the_stop(retry_after: float | None) -> None:
    async def run() -> None:
        # An endpoint that asks to be left alone gets the second call only when it has had its rest.
        sent = ["row 0", "row 1"] if retry_after is None else ["row 0"]
        model, kept = Model(*(CallError(BUSY, "busy", retry_after) for _ in sent)), Kept()
        calls = gateway(model, PATIENT if retry_after is None else PATIENT.model_copy(update={"call_backoff": 0.0}))
        asking = ask(calls, requests(2), kept)
        await until(lambda: not model.failures)
        calls.stop()
        await stopped_answers(asking)
        assert (model.sent, len(kept)) == (sent, 0)

    in_time(run())


def test_a_call_that_fails_for_a_passing_reason_after_the_stop_is_not_tried_again() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        calls = gateway(model, PATIENT.model_copy(update={"call_backoff": 0.0}))
        asking = ask(calls, requests(1), kept)
        await until(lambda: calls.in_flight == 1)
        calls.stop()
        model.failure_at_last = CallError(BUSY, "busy")
        model.let_go.set()
        await stopped_answers(asking)
        assert (model.sent, len(kept)) == (["row 0"], 0)

    in_time(run())


def test_a_full_ledger_stops_the_sending() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        kept.is_full = True
        calls = gateway(model)
        asking = ask(calls, requests(9), kept)
        await until(lambda: calls.in_flight == 2)
        model.let_go.set()
        with pytest.raises(StoreError, match="no space left"):
            await asking
        assert len(model.sent) < 9

    in_time(run())


def test_a_dead_endpoint_stops_the_sending_and_keeps_what_others_wait_for() -> None:
    async def run() -> None:
        model, kept = Model(CallError(Verdict(Reach.RUN, "WrongKey", "Check the key."), "refused")), Kept()
        calls = gateway(model)
        first, second = ask(calls, requests(1), kept), ask(calls, requests(4)[1:], kept)
        with pytest.raises(EndpointError, match=r"WrongKey: refused Check the key\."):
            await first
        model.let_go.set()
        await stopped_answers(second)
        assert len(kept) == len(model.sent) - 1 <= 2

    in_time(run())


def test_closing_frees_everybody_who_waits() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        calls = gateway(model)
        asking = ask(calls, requests(5), kept)
        await until(lambda: calls.in_flight == 2)
        await calls.close()
        await stopped_answers(asking)
        assert not kept

    in_time(run())


def test_a_held_gateway_keeps_what_is_in_flight_and_sends_the_rest_when_it_is_released() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        gate = gateway(model)
        asking = ask(gate, requests(5), kept)
        await until(lambda: len(model.sent) == 2)
        gate.hold()
        model.let_go.set()
        await until(lambda: not gate.in_flight)
        late = ask(gate, [Request("teacher", "late", prompt="?")], kept)
        for _ in range(100):
            await asyncio.sleep(0)
        assert (gate.is_held, len(model.sent), len(kept)) == (True, 2, 2)
        gate.release()
        assert len(await asking) + len(await late) == len(model.sent) == 6
        assert not gate.is_held

    in_time(run())


def test_a_stop_ends_the_wait_of_a_held_gateway() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        gate = gateway(model)
        gate.hold()
        asking = ask(gate, requests(3), kept)
        released = asyncio.ensure_future(gate.released())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not asking.done()
        gate.stop()
        await stopped_answers(asking)
        await stopped_answers(released)
        assert model.sent == []

    in_time(run())


def test_what_the_ledger_knows_is_answered_while_the_gateway_is_held() -> None:
    async def run() -> None:
        model, kept = Model(), Kept()
        gate = gateway(model)
        model.let_go.set()
        await ask(gate, requests(2), kept)
        gate.hold()
        assert len(await ask(gate, requests(2), kept)) == 2
        assert len(model.sent) == 2

    in_time(run())
