"""Several endpoints of one model: where calls go, and what happens when some or all of them fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Address, Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.settings import Settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.canned import Canned, http
from tests.unit.models.kept import Kept

QUICK = Settings(concurrency=8, call_backoff=0.01, call_backoff_max=0.05, endpoint_probes=3)
PATIENT = QUICK.model_copy(update={"endpoint_probes": 1000, "call_attempts": 1000})
"""For endpoints that come back whenever the test lets them."""


class Asked:
    """A model at some servers, asked for rows; what came of it."""

    def __init__(self, *servers: SimulatedModel | str, settings: Settings = QUICK, **fields: Any) -> None:
        urls = [one if isinstance(one, str) else one.url for one in servers]
        each = fields.pop("each", [{} for _ in urls])
        addresses = tuple(Address(api_base=url, **more) for url, more in zip(urls, each, strict=True))
        self.endpoint = Endpoint(model="teacher", endpoints=addresses, **fields)
        self.settings = settings
        self.told: list[str] = []
        self.kept = Kept()
        self.answers: list[Completion | Failure] = []
        self.tally: list[Mapping[str, Any]] = []

    async def rows(self, count: int, gateway: Gateway | None = None, first: int = 0) -> None:
        used = gateway or self.gateway()
        try:
            asked = [prompt(number) for number in range(first, first + count)]
            await asyncio.wait_for(used.complete(asked, self.kept, self.answers.append), 120)
        finally:
            self.tally = used.tally()
            if gateway is None:
                await used.close()

    def gateway(self) -> Gateway:
        return Gateway({"teacher": self.endpoint}, connect, self.settings, tell=self.told.append)

    @property
    def errors(self) -> list[str]:
        return [answer.error for answer in self.answers if isinstance(answer, Failure)]


def prompt(number: int) -> Request:
    return Request("teacher", f"row {number}", [{"role": "user", "content": f"Say {number}."}])


@pytest.fixture
def servers() -> Any:
    with ExitStack() as stack:
        yield lambda *each: [stack.enter_context(SimulatedModel(SimulatorSettings(**one))) for one in each]


def completions(servers: Sequence[SimulatedModel]) -> list[int]:
    return [server.stats()["completions"] for server in servers]


def test_calls_are_spread_in_proportion_to_what_each_endpoint_takes(servers: Any) -> None:
    models = servers({"latency": 0.02}, {"latency": 0.02})
    asked = Asked(*models, each=[{"max_concurrency": 3}, {"max_concurrency": 9}])
    asyncio.run(asked.rows(240))
    small, large = completions(models)
    assert small + large == 240
    assert 1.8 < large / small < 4.5
    assert [model.stats()["peak_in_flight"] for model in models] == [3, 9]


def test_few_calls_are_spread_too(servers: Any) -> None:
    models = servers({"latency": 0.3}, {"latency": 0.3})
    asyncio.run(Asked(*models, each=[{"max_concurrency": 2}, {"max_concurrency": 6}]).rows(4))
    assert completions(models) == [1, 3]


def test_one_call_after_another_goes_to_each_in_turns(servers: Any) -> None:
    async def run() -> None:
        asked = Asked(*models)
        gateway = asked.gateway()
        for number in range(8):
            await asked.rows(1, gateway, number)
        await gateway.close()

    models = servers({}, {})
    asyncio.run(run())
    assert completions(models) == [4, 4]


def test_the_slower_endpoint_gets_fewer_calls(servers: Any) -> None:
    models = servers({"latency": 0.5}, {"latency": 0.02})
    asyncio.run(Asked(*models).rows(120))
    slow, quick = completions(models)
    assert slow + quick == 120
    assert quick > 1.5 * slow


def test_an_endpoint_that_fails_hands_its_calls_to_the_others_without_an_attempt(servers: Any) -> None:
    models = servers({"error_5xx_share": 1.0}, {})
    asked = Asked(*models, settings=QUICK.model_copy(update={"call_attempts": 1, "call_backoff": 1e6, "call_backoff_max": 1e6}))
    asyncio.run(asked.rows(40))
    assert completions(models) == [0, 40]
    assert [answer.attempts for answer in asked.answers] == [1] * 40
    assert models[0].stats()["calls"] <= 8 + 5
    assert len(asked.told) == 1
    assert "is out, others take its calls: ServerError" in asked.told[0]


@pytest.mark.parametrize(
    ("fault", "error"), [({"api_key": "secret"}, "refuses the key"), ({"models": ("other",)}, "UnknownModel"), ({"quota": 0}, "QuotaUsedUp")]
)  # fmt: skip
def test_an_endpoint_that_refuses_all_calls_is_left_to_the_others(servers: Any, fault: dict[str, Any], error: str) -> None:
    models = servers(fault, {})
    asked = Asked(*models, settings=QUICK.model_copy(update={"call_attempts": 1}))
    asyncio.run(asked.rows(40))
    assert completions(models) == [0, 40]
    assert error in asked.told[0]


def test_an_endpoint_that_is_not_there_is_left_to_the_others(servers: Any) -> None:
    (model,) = servers({})
    asked = Asked("http://127.0.0.1:9/v1", model)
    asyncio.run(asked.rows(40))
    assert (completions([model]), asked.errors) == ([40], [])
    assert "does not answer" in asked.told[0]
    assert [line["calls"] for line in asked.tally] == [0, 40]


def test_an_endpoint_that_refuses_some_calls_slows_down_alone(servers: Any) -> None:
    models = servers({"latency": 0.02, "max_concurrency": 2, "retry_after": 0.1}, {"latency": 0.02})
    asked = Asked(*models, settings=QUICK.model_copy(update={"call_attempts": 1, "concurrency": 16}))
    asyncio.run(asked.rows(200))
    assert (asked.errors, asked.told, sum(completions(models))) == ([], [], 200)
    assert models[0].stats()["by_status"]["429"] < 40
    assert models[1].stats()["peak_in_flight"] == 16


def test_an_endpoint_that_is_out_is_probed_with_one_call_and_comes_back(servers: Any) -> None:
    async def run() -> None:
        gateway = asked.gateway()
        await asked.rows(40, gateway)
        while models[0].stats()["calls"] < 8 + 5 + 3:
            await asked.rows(4, gateway, len(asked.answers))
            await asyncio.sleep(0.01)
        models[0].change(error_5xx_share=0.0)
        while not completions(models)[0]:
            await asked.rows(4, gateway, len(asked.answers))
            await asyncio.sleep(0.01)
        before = completions(models)
        await asked.rows(40, gateway, len(asked.answers))
        assert completions(models)[0] > before[0] + 4
        await gateway.close()

    models = servers({"error_5xx_share": 1.0}, {"latency": 0.01})
    asked = Asked(*models)
    asyncio.run(run())
    assert [line.split(" of model ")[1].split(",")[0].split(":")[0] for line in asked.told] == [
        "'teacher' is out",
        "'teacher' is back.",
    ]
    assert asked.errors == []


@pytest.mark.parametrize("count", [1, 2])
def test_a_run_whose_endpoints_all_fail_stops_before_every_row_has_been_tried(servers: Any, count: int) -> None:
    async def run() -> None:
        gateway = asked.gateway()
        await asked.rows(20, gateway)
        for model in models:
            model.change(error_5xx_share=1.0)
        with pytest.raises(EndpointError, match="The same command goes on from here when it is back") as raised:
            await asked.rows(5000, gateway, 20)
        assert ("none of the 2 endpoints" in str(raised.value)) is (count == 2)
        assert all(model.url in str(raised.value) for model in models)
        assert gateway.is_stopped
        await gateway.close()

    models = servers(*[{}] * count)
    asked = Asked(*models)
    asyncio.run(run())
    assert len(asked.kept) == sum(completions(models)) == 20
    # The rows that put an endpoint out, with their attempts; what was in flight; the probes, also those while the other one goes out.
    most = count * (16 * QUICK.call_attempts + 8 + 3 * 4)
    assert sum(model.stats()["calls"] for model in models) - 20 <= most


def test_a_run_on_an_address_that_answers_with_web_pages_stops_soon_and_shows_one() -> None:
    page = Canned([http(200, "<!doctype html><title>Chats</title>", {"Content-Type": "text/html"})])

    async def run() -> None:
        async with page.serve() as url:
            asked.append(Asked(url))
            await asked[0].rows(5000)

    asked: list[Asked] = []
    with pytest.raises(EndpointError, match=r"does not work: BrokenReply.*doctype html.*mostly ends in /v1"):
        asyncio.run(run())
    assert len(page.asked) < 16 * QUICK.call_attempts + 20


def test_a_run_whose_endpoints_all_come_back_in_time_loses_no_row(servers: Any) -> None:
    async def run() -> None:
        models[0].change(error_5xx_share=1.0)
        going = asyncio.ensure_future(asked.rows(60))
        while not asked.told:
            await asyncio.sleep(0.01)
        models[0].change(error_5xx_share=0.0)
        await going

    models = servers({})
    asked = Asked(*models, settings=PATIENT)
    asyncio.run(run())
    assert (asked.errors, completions(models)) == ([], [60])
    assert ["is out, its calls wait" in asked.told[0], "is back" in asked.told[1]] == [True, True]


def test_an_endpoint_that_is_out_gets_one_call_at_a_time(servers: Any) -> None:
    async def run() -> None:
        going = asyncio.ensure_future(asked.rows(60))
        while not asked.told:
            await asyncio.sleep(0.005)
        calls = models[0].stats()["calls"] + QUICK.concurrency
        # What was sent before may not have arrived yet.
        while (now := models[0].stats())["calls"] < calls or now["in_flight"] > 1:
            await asyncio.sleep(0.005)
        while (now := models[0].stats())["calls"] < calls + 12:
            assert now["in_flight"] <= 1
            await asyncio.sleep(0.005)
        models[0].change(error_5xx_share=0.0)
        await going

    models = servers({"error_5xx_share": 1.0, "latency": 0.05})
    asked = Asked(*models, settings=PATIENT)
    asyncio.run(run())
    assert (asked.errors, completions(models)) == ([], [60])


def test_a_few_rows_that_no_server_can_answer_do_not_stop_the_run(servers: Any) -> None:
    models = servers({"error_5xx_share": 1.0})
    asked = Asked(*models)
    asyncio.run(asked.rows(15))
    assert (asked.errors, asked.told) == (["ServerError"] * 15, [])
    assert models[0].stats()["calls"] == 15 * QUICK.call_attempts


def test_what_no_endpoint_can_serve_is_said_with_what_to_do(servers: Any) -> None:
    models = servers({"models": ("other",)}, {"api_key": "secret"})
    asked = Asked(*models)
    with pytest.raises(EndpointError, match=r"none of the 2 endpoints.*UnknownModel.*refuses the key.*Check the model's name"):
        asyncio.run(asked.rows(40))
    assert sum(model.stats()["calls"] for model in models) <= 16


def test_a_timeout_hands_the_call_to_another_endpoint(servers: Any) -> None:
    models = servers({"timeout_share": 1.0}, {})
    asked = Asked(*models, each=[{"timeout": 0.2}, {}], settings=QUICK.model_copy(update={"call_attempts": 1}))
    asyncio.run(asked.rows(30))
    assert (asked.errors, completions(models)) == ([], [0, 30])


def test_keys_do_not_depend_on_where_a_model_is_served() -> None:
    url = "http://localhost:8000/v1"
    several = Endpoint(
        model="m", params={"top_k": 5}, endpoints=(Address(api_base=url), Address(api_base=f"{url}2", timeout=9.0))
    )
    assert {prompt(1).key(one.identity) for one in (several, Endpoint(model="m", params={"top_k": 5}), *several.places)} == {
        prompt(1).key(several.identity)
    }


shares = st.sampled_from([0.0, 0.2, 0.6])
faults = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 99),
        "error_5xx_share": shares,
        "error_429_share": st.sampled_from([0.0, 0.3]),
        "retry_after": st.just(0.01),
    }
)


@settings(max_examples=12)
@given(st.lists(faults, min_size=1, max_size=3), st.integers(1, 60))
def test_no_call_is_lost_or_counted_twice_whatever_fails(each: list[dict[str, Any]], rows: int) -> None:
    with ExitStack() as stack:
        models = [stack.enter_context(SimulatedModel(SimulatorSettings(**one))) for one in each]
        asked = Asked(*models)
        stopped = False
        try:
            asyncio.run(asked.rows(rows))
        except EndpointError:
            stopped = True
        stats = [model.stats() for model in models]
    answered = sum(isinstance(answer, Completion) for answer in asked.answers)
    assert stopped or len(asked.answers) == rows
    assert len(asked.kept) == answered == sum(one["completions"] for one in stats) == sum(line["answers"] for line in asked.tally)
    assert set(asked.kept.times.values()) <= {1}
    assert [line["calls"] for line in asked.tally] == [one["calls"] for one in stats]
