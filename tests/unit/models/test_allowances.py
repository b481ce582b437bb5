"""What providers say in headers about their limits, and what is made of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from sdg_prefect.models.allowances import Allowance, read_allowances
from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.limiter import Limiter
from sdg_prefect.models.queue import Permit, Queue
from sdg_prefect.settings import Settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.canned import both_clients, chat, completed, error, failed, http
from tests.unit.models.kept import Kept
from tests.unit.models.test_limiter import Time

PROMPT = Request("teacher", "row", prompt="x" * 400)
OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-remaining-requests": "4990",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-tokens": "40000",
    "x-ratelimit-reset-tokens": "45s",
}


@pytest.mark.parametrize(
    ("reset", "per_second"), [("1m30s", 10 / 90), ("500ms", 20), ("2m0.5s", 10 / 120.5), ("1h0m0s", 10 / 3600), ("5", 2)]
)
def test_what_comes_back_in_a_second_follows_from_the_time_that_is_told(reset: str, per_second: float) -> None:
    headers = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "90", "x-ratelimit-reset-requests": reset}
    found = read_allowances(headers)
    assert found is not None
    assert (found["requests"].limit, found["requests"].remaining) == (100, 90)
    assert found["requests"].per_second == pytest.approx(per_second)


def test_anthropic_names_times_and_tells_prompts_and_completions_apart() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat().replace("+00:00", "Z")
    headers = {
        f"anthropic-ratelimit-{word}-{part}": value
        for word, left in (("requests", 45), ("input-tokens", 10_000), ("output-tokens", 4_000))
        for part, value in (("limit", str(2 * left)), ("remaining", str(left)), ("reset", soon))
    }
    found = read_allowances(headers)
    assert found is not None
    assert {kind: (one.limit, one.remaining) for kind, one in found.items()} == {
        "requests": (90, 45),
        "tokens_in": (20_000, 10_000),
        "tokens_out": (8_000, 4_000),
    }
    assert found["requests"].per_second == pytest.approx(45 / 30, rel=0.05)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"},
        {"x-ratelimit-limit-requests": "many", "x-ratelimit-remaining-requests": "few"},
        {"x-ratelimit-limit-requests": "nan", "x-ratelimit-remaining-requests": "1"},
        {"x-ratelimit-remaining-requests": "3"},
    ],
)
def test_headers_that_say_nothing_limit_nothing(headers: dict[str, str]) -> None:
    assert read_allowances(headers) is None


def test_without_a_time_a_limit_is_for_a_minute() -> None:
    headers = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "0"}
    assert read_allowances(headers) == {"requests": Allowance(600, 0, 10)}


@both_clients[0]
@both_clients[1]
def test_both_clients_hand_on_what_a_reply_and_a_refusal_say(client: str) -> None:
    expected = {"requests": Allowance(5000, 4990, 10 / 0.12), "tokens": Allowance(160_000, 40_000, 120_000 / 45)}
    assert completed(client, http(200, chat(), OPENAI)).allowances == expected
    assert failed(client, error(429, "slow down", headers=OPENAI)).allowances == expected
    assert completed(client, chat()).allowances is None


def told(clock: Time, remaining: float, *, sent_since: int = 0) -> Permit:
    """Return a permit that waits where a provider has said what is left, with so many calls sent after the one it answered."""
    queue = Queue()
    limiter = Limiter(500, clock)
    lane = limiter.lane(Endpoint(model="openai/m", api_base="http://localhost:1/v1"), queue)
    first, *others = [Permit(0.0) for _ in range(1 + sent_since)]
    for permit in (first, *others):
        lane.grant(permit)
    answer = Completion((Choice("yes"),), allowances={"requests": Allowance(600, remaining, 10)})
    lane.leave(first, answer)
    return Permit(0.0, lane=lane)


@pytest.mark.parametrize(
    ("remaining", "sent_since", "seconds"), [(5, 0, 0.0), (0, 0, 0.1), (5, 4, 0.0), (5, 5, 0.1), (5, 9, 0.5)]
)
def test_calls_sent_since_are_taken_off_what_is_left(remaining: float, sent_since: int, seconds: float) -> None:
    waiting = told(Time(), remaining, sent_since=sent_since)
    assert waiting.lane is not None
    assert waiting.lane.rates.wait(waiting) == pytest.approx(seconds)


def test_what_an_earlier_call_was_told_is_out_of_date() -> None:
    limiter = Limiter(500, Time())
    lane = limiter.lane(Endpoint(model="openai/m", api_base="http://localhost:1/v1"))
    slow, quick = Permit(0.0), Permit(0.0)
    lane.grant(slow)
    lane.grant(quick)
    lane.leave(quick, Completion((Choice("yes"),), allowances={"requests": Allowance(600, 0, 10)}))
    lane.leave(slow, Completion((Choice("yes"),), allowances={"requests": Allowance(600, 599, 10)}))
    assert lane.rates.wait(Permit(0.0)) == pytest.approx(0.1)


def test_what_is_left_is_not_kept_with_a_completion() -> None:
    made = Completion((Choice("yes"),), allowances={"requests": Allowance(1, 1, 1)})
    assert "allowances" not in made.to_record()
    assert Completion.from_record(made.to_record()).allowances is None


@pytest.mark.parametrize("client", ["openai", "litellm"])
def test_a_server_that_tells_its_limits_refuses_next_to_no_call(client: str) -> None:
    """It takes 240 calls at once and then four in a second; nobody has told us."""

    async def ask(url: str) -> list[object]:
        endpoint = Endpoint.model_validate({"model": "openai/m", "api_base": url, "client": client, "max_concurrency": 16})
        gateway = Gateway({"teacher": endpoint}, connect, Settings())
        requests = [Request("teacher", str(number), messages=[{"role": "user", "content": "hi"}]) for number in range(250)]
        answers = await gateway.complete(requests, Kept(), lambda _: None)
        await gateway.close()
        return list(answers)

    with SimulatedModel(SimulatorSettings(requests_per_minute=240, latency=0.01)) as model:
        answers = asyncio.run(ask(model.url))
        refused = model.stats()["by_status"].get("429", 0)
    assert all(isinstance(answer, Completion) for answer in answers)
    assert refused <= 2
