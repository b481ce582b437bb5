"""Requests in batches: gathered, submitted once, collected by whichever run comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.batches.client import BatchClient
from sdg_prefect.models.budget import Budget, Spent
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Address, Endpoint
from sdg_prefect.models.spending import Spending
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.batching import QUICK, Dying, Store, requests, texts

SLOW = {"batch_seconds": 3600}


@pytest.fixture
def model() -> Iterator[SimulatedModel]:
    with SimulatedModel() as server:
        yield server


def by_calls(model: SimulatedModel, asked: list[Request]) -> list[Any]:
    return Store().run(model.url, asked, mode="calls")


def counts(model: SimulatedModel) -> tuple[int, int, int]:
    stats = model.stats()
    return stats["batches"], stats["batch_requests"], stats["calls"]


def cancel_all(model: SimulatedModel) -> None:
    for batch in httpx.get(f"{model.url}/batches").json()["data"]:
        httpx.post(f"{model.url}/batches/{batch['id']}/cancel")


def test_the_requests_of_all_shards_go_in_one_batch_and_have_the_replies_of_calls_in_their_order(model: SimulatedModel) -> None:
    asked, store = requests(30), Store()
    expected = by_calls(model, asked)
    model.change(batch_seconds=0.2)
    answers = store.run(model.url, asked[:10], asked[10:], model="m")
    assert counts(model) == (1, 30, 30)
    assert texts(answers) == texts(expected)
    for answer, call in zip(answers, expected, strict=True):
        assert isinstance(answer, Completion)
        assert (answer.tokens_in, answer.tokens_out, answer.replayed) == (call.tokens_in, call.tokens_out, False)
        assert answer.cost_usd == pytest.approx(call.cost_usd / 2)
    assert (len(store.ledger), store.records) == (30, {})
    assert "30 requests submitted" in store.said[0]
    assert "completed, 30 replies collected" in store.said[-1]


def test_what_the_ledger_has_is_not_asked_for(model: SimulatedModel) -> None:
    store = Store()
    first = store.run(model.url, requests(10))
    again = store.run(model.url, requests(12))
    assert counts(model) == (2, 12, 0)
    assert texts(again[:10]) == texts(first)
    assert [answer.replayed for answer in again if isinstance(answer, Completion)] == [True] * 10 + [False] * 2


def test_chats_and_texts_go_in_batches_of_their_own(model: SimulatedModel) -> None:
    asked = requests(3) + [Request("teacher", f"row {place}", prompt=f"Write about lake {place}.") for place in range(3)]
    assert texts(Store().run(model.url, asked)) == texts(by_calls(model, asked))
    assert counts(model)[:2] == (2, 6)


def test_the_same_request_of_two_shards_is_asked_once(model: SimulatedModel) -> None:
    async def run() -> None:
        one, other = Store(), Store()
        gateway = one.gateway(model.url)
        first, second = await asyncio.gather(one.ask(gateway, requests(2)), other.ask(gateway, requests(2)))
        assert texts(first) == texts(second)
        assert [answer.replayed for answer in second if isinstance(answer, Completion)] == [True, True]
        await gateway.close()

    asyncio.run(run())
    assert counts(model)[:2] == (1, 2)


def test_a_request_that_fails_costs_its_row_and_no_other(model: SimulatedModel) -> None:
    model.change(refusal_share=0.3)
    asked = requests(20)
    answers, expected = Store().run(model.url, asked), by_calls(model, asked)
    assert [answer for answer in answers if isinstance(answer, Failure)] == [one for one in expected if isinstance(one, Failure)]
    assert 0 < sum(isinstance(answer, Failure) for answer in answers) < 20
    assert counts(model)[:2] == (1, 20)


@pytest.mark.parametrize("fault", ["batch_failed_share", "batch_expired_share", "error_429_share"])
def test_requests_that_fail_for_a_passing_reason_or_expire_are_asked_again(model: SimulatedModel, fault: str) -> None:
    model.change(**{fault: 0.4})
    store = Store()
    answers = store.run(model.url, requests(25), settings=QUICK.model_copy(update={"call_attempts": 20}))
    assert texts(answers) == texts(by_calls(model, requests(25))) if fault != "error_429_share" else texts(answers)
    assert max(answer.attempts for answer in answers) > 1
    batches, asked, _ = counts(model)
    assert batches > 1
    assert asked > 25
    assert model.stats()["completions"] >= 25
    assert store.records == {}


def test_a_request_that_expires_at_every_attempt_fails(model: SimulatedModel) -> None:
    model.change(batch_expired_share=1)
    (answer,) = Store().run(model.url, requests(1), settings=QUICK.model_copy(update={"call_attempts": 3}))
    assert isinstance(answer, Failure)
    assert (answer.error, answer.transient, answer.attempts) == ("BatchExpired", True, 3)


def test_batches_are_no_larger_than_the_protocol_allows(model: SimulatedModel) -> None:
    few = QUICK.model_copy(update={"batch_requests": 10})
    assert len(texts(Store().run(model.url, requests(25), settings=few))) == 25
    assert counts(model)[:2] == (3, 25)
    small = QUICK.model_copy(update={"batch_bytes": 1000})
    assert len(texts(Store().run(model.url, requests(25), settings=small))) == 25
    assert counts(model)[0] > 3 + 4
    tiny = QUICK.model_copy(update={"batch_bytes": 10})
    (answer,) = Store().run(model.url, requests(1), settings=tiny)
    assert isinstance(answer, Failure)
    assert answer.error == "ContextWindowExceeded"


@pytest.mark.parametrize("point", ["before upload", "after upload", "after submission", "before collection"])
def test_a_batch_of_a_process_that_died_is_adopted_and_never_submitted_twice(model: SimulatedModel, point: str) -> None:
    store = Store()

    async def die() -> None:
        clients: list[Dying] = []

        def dying(endpoint: Endpoint) -> Dying:
            clients.append(Dying(endpoint))
            clients[0].point = point
            return clients[0]

        gateway = store.gateway(model.url, connect=dying)
        asking = asyncio.ensure_future(store.ask(gateway, requests(10)))
        while not clients:
            await asyncio.sleep(0.01)
        await clients[0].is_dead.wait()
        assert not asking.done()

    asyncio.run(die())
    was_submitted = point in ("after submission", "before collection")
    assert (counts(model)[0], len(store.records), len(store.ledger)) == (was_submitted, 1, 0)
    # The next run wants some of its requests in another order, and others.
    answers = store.run(model.url, requests(4, first=6), requests(6), requests(2, first=10))
    assert len(texts(answers)) == 12
    assert counts(model)[:2] == ((2, 12) if was_submitted else (1, 12))
    assert store.records == {}


def test_a_batch_of_which_a_run_wants_a_part_stays_known_until_the_rest_is_wanted(model: SimulatedModel) -> None:
    store = Store()

    async def stop_early() -> str:
        model.change(**SLOW)
        gateway = store.gateway(model.url)
        asking = asyncio.ensure_future(store.ask(gateway, requests(10)))
        while not any(record["id"] for record in store.records.values()):
            await asyncio.sleep(0.01)
        gateway.stop()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await gateway.close()
        return gateway.batches.left_behind

    said = asyncio.run(stop_early())
    assert said.startswith("1 batch stays with the provider, with 10 requests. The same command goes on")
    model.change(batch_seconds=0)
    assert len(texts(store.run(model.url, requests(4)))) == 4
    assert len(store.records) == 1
    assert len(texts(store.run(model.url, requests(10)))) == 10
    assert (counts(model)[:2], store.records) == ((1, 10), {})


def test_what_is_asked_later_is_answered_from_a_batch_that_was_collected(model: SimulatedModel) -> None:
    async def run() -> None:
        store = Store()
        model.change(**SLOW)
        dying = store.gateway(model.url)
        asking = asyncio.ensure_future(store.ask(dying, requests(6)))
        while not any(record["id"] for record in store.records.values()):
            await asyncio.sleep(0.01)
        asking.cancel()
        await dying.close()
        model.change(batch_seconds=0)
        gateway = store.gateway(model.url)
        for part in (requests(2), requests(2, first=2), requests(2, first=4)):
            assert len(texts(await store.ask(gateway, part))) == 2
        await gateway.close()
        assert store.records == {}

    asyncio.run(run())
    assert counts(model)[:2] == (1, 6)


def test_a_record_whose_completions_are_in_the_ledger_is_forgotten_when_they_are_replayed(model: SimulatedModel) -> None:
    store = Store()
    kept: dict[str, Any] = {}
    store.records.remove = lambda place, name: None  # type: ignore[method-assign] # the process dies before it gets there
    store.run(model.url, requests(3))
    kept |= store.records
    assert len(kept) == 1
    del store.records.remove
    store.run(model.url, requests(3))
    assert (store.records, counts(model)[0]) == ({}, 1)


def test_a_batch_that_somebody_cancels_at_the_provider_is_asked_again(model: SimulatedModel) -> None:
    async def run() -> None:
        store = Store()
        model.change(**SLOW)
        gateway = store.gateway(model.url)
        asking = asyncio.ensure_future(store.ask(gateway, requests(5)))
        while not model.stats()["batches"]:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(cancel_all, model)
        model.change(batch_seconds=0)
        assert len(texts(await asking)) == 5
        await gateway.close()
        assert any("5 BatchCancelled" in line for line in store.said)

    asyncio.run(run())
    assert counts(model)[:2] == (2, 10)


def test_a_batch_that_the_provider_has_forgotten_is_asked_again(model: SimulatedModel) -> None:
    store = Store()
    record = {"path": "/v1/chat/completions", "created": 1.0, "file_id": "file-1", "id": "batch_1"}
    keys = [store.gateway(model.url).key_of(request) for request in requests(5)]
    store.records["lost"] = {**record, "keys": keys}
    assert len(texts(store.run(model.url, requests(5)))) == 5
    assert (counts(model)[:2], store.records) == ((1, 5), {})
    assert any("does not know it any more" in line for line in store.said)


def test_a_batch_that_is_refused_ends_the_run_and_rejects_no_row(model: SimulatedModel) -> None:
    model.change(batch_max_requests=5)
    with pytest.raises(EndpointError, match="BatchRefused: the provider refuses the batch: More than 5 requests"):
        Store().run(model.url, requests(6))


def test_a_line_that_is_refused_costs_its_row_and_the_others_are_asked_again(model: SimulatedModel) -> None:
    def spoiling(endpoint: Endpoint) -> BatchClient:
        client = BatchClient(endpoint)
        write = client.line
        client.line = lambda key, request: write(key, request) if request.row_id != "row 2" else b"{}\n"  # type: ignore[method-assign]
        return client

    answers = Store().run(model.url, requests(5), connect=spoiling)
    assert [isinstance(answer, Failure) for answer in answers] == [False, False, True, False, False]
    assert isinstance(answers[2], Failure)
    assert (answers[2].error, answers[2].transient) == ("BadRequest", False)


def test_a_server_without_batches_ends_the_run_with_a_hint(model: SimulatedModel) -> None:
    with pytest.raises(EndpointError, match="Leave 'mode: batch' away if the server takes no batches"):
        Store().run(f"{model.url}/elsewhere", requests(3))


def test_a_wrong_key_ends_the_run(model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        store = Store()
        model.change(**SLOW)
        gateway = store.gateway(model.url)
        asking = asyncio.ensure_future(store.ask(gateway, requests(3)))
        while not any(record["id"] for record in store.records.values()):
            await asyncio.sleep(0.01)
        model.change(api_key="another", **SLOW)
        with pytest.raises(EndpointError, match="WrongKey"):
            await asking
        await gateway.close()
        assert len(store.records) == 1
        assert "1 batch stays" in gateway.batches.left_behind

    asyncio.run(run())


def test_where_the_queue_of_the_provider_is_full_batches_become_smaller(model: SimulatedModel) -> None:
    model.change(batch_enqueued=8)
    store = Store()
    assert len(texts(store.run(model.url, requests(20)))) == 20
    assert store.records == {}
    assert any("takes no 20 requests at once" in line for line in store.said)


def test_a_budget_bounds_a_batch(model: SimulatedModel) -> None:
    asked = [replace(request, params={"max_tokens": 50}) for request in requests(40)]
    whole = sum(one.tokens_in + one.tokens_out for one in by_calls(model, asked))
    used_up: list[bool] = []
    store = Store()
    spending = Spending(Budget(tokens=whole // 2), Spent(), lambda: used_up.append(True))
    with pytest.raises(asyncio.CancelledError):
        store.run(model.url, asked, spending=spending)
    assert used_up
    each = whole / 40
    assert whole // 2 <= spending.total.tokens < whole // 2 + 4 * each
    assert 15 < len(store.ledger) < 25
    # More budget, and the same command goes on.
    assert len(texts(store.run(model.url, asked))) == 40
    assert counts(model)[1] == 40


def test_requests_are_gathered_as_long_as_calls_elsewhere_may_lead_to_more(model: SimulatedModel) -> None:
    async def run() -> None:
        store = Store()
        gateway = store.gateway(model.url)
        gateway._traffic.flying["ask"] = 1
        first = asyncio.ensure_future(store.ask(gateway, requests(2)))
        await asyncio.sleep(QUICK.batch_quiet * 3)
        assert counts(model)[0] == 0
        second = asyncio.ensure_future(store.ask(gateway, requests(2, first=2)))
        gateway._traffic.flying.clear()
        assert len(texts(await first) + texts(await second)) == 4
        await gateway.close()

    asyncio.run(run())
    assert counts(model)[:2] == (1, 4)


def several(*models: SimulatedModel) -> Endpoint:
    return Endpoint(model="judge", endpoints=tuple(Address(api_base=model.url, max_concurrency=4) for model in models))


def test_a_model_in_batches_and_one_at_several_endpoints_go_side_by_side(model: SimulatedModel) -> None:
    async def run() -> None:
        with SimulatedModel(SimulatorSettings(error_5xx_share=1.0)) as broken:
            store = Store()
            # The limit of what is asked in batches is not that of the calls to the same address.
            gateway = store.gateway(model.url, others={"judge": several(broken, model)}, max_concurrency=1)
            asked = (store.ask(gateway, requests(20)), store.ask(gateway, requests(30, model_id="judge")))
            assert [len(texts(answers)) for answers in await asyncio.gather(*asked)] == [20, 30]
            tally = {(line["model"], line["endpoint"]): (line["calls"], line["answers"]) for line in gateway.tally()}
            assert tally["teacher", model.url] == (20, 20)
            assert tally["judge", model.url] == (30, 30)
            assert tally["judge", broken.url][1] == 0
            assert model.stats()["peak_in_flight"] > 1
            await gateway.close()

    model.change(latency=0.02)
    asyncio.run(run())
    assert counts(model) == (1, 20, 30)


def test_when_the_endpoints_of_one_model_are_gone_the_wait_for_batches_of_another_ends(model: SimulatedModel) -> None:
    async def run() -> None:
        store = Store()
        model.change(**SLOW)
        gateway = store.gateway(model.url, others={"judge": several(refusing)})
        asking = asyncio.ensure_future(store.ask(gateway, requests(5)))
        while not any(record["id"] for record in store.records.values()):
            await asyncio.sleep(0.01)
        with pytest.raises(EndpointError, match="refuses the key"):
            await store.ask(gateway, requests(3, model_id="judge"))
        with pytest.raises(asyncio.CancelledError):
            await asking
        await gateway.close()
        assert "1 batch stays" in gateway.batches.left_behind

    with SimulatedModel(SimulatorSettings(api_key="secret")) as refusing:
        asyncio.run(run())


def test_a_list_of_one_endpoint_takes_batches(model: SimulatedModel) -> None:
    assert len(texts(Store().run("http://127.0.0.1:9/v1", requests(3), endpoints=[{"api_base": model.url}]))) == 3
    assert counts(model) == (1, 3, 0)


def test_only_a_server_that_speaks_the_openai_protocol_is_asked_in_batches() -> None:
    endpoint = Endpoint(model="m", api_base="http://localhost:1/v1", mode="batch")
    assert isinstance(connect(endpoint), BatchClient)
