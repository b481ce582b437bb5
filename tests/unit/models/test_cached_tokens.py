"""Prompt tokens that a provider had in its cache: they are counted, kept and paid at their own price."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.counts import Counts
from sdg_prefect.models.budget import Budget, Spent
from sdg_prefect.models.completion import Completion
from sdg_prefect.models.endpoint import Endpoint, Price
from sdg_prefect.models.litellm_client import load_litellm
from sdg_prefect.models.pricing import price_of
from sdg_prefect.models.spending import Spending
from sdg_prefect.models.usage import Usage, read_usage
from tests.unit.models.canned import both_clients, chat, completed

PRICE = {"input": 1000, "cached": 100, "written": 1250, "output": 2000}


@both_clients[0]
@both_clients[1]
def test_both_clients_count_what_was_cached_and_pay_less_for_it(client: str) -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 1}}
    made = completed(client, {**chat(), "usage": told}, price=PRICE)
    assert (made.tokens_in, made.tokens_cached, made.tokens_written) == (10, 6, 1)
    assert made.cost_usd == pytest.approx((3 * 1000 + 6 * 100 + 1 * 1250 + 2 * 2000) / 1e6)


@both_clients[0]
@both_clients[1]
def test_without_a_price_of_their_own_cached_tokens_cost_what_the_others_cost(client: str) -> None:
    told = {"prompt_tokens": 10, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 6}}
    assert completed(client, {**chat(), "usage": told}, price={"input": 1000, "output": 1}).cost_usd == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("told", "cached", "written"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 4}}, 4, 0),
        ({"cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}, 4, 2),
        ({"prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6}, 4, 0),
        ({"prompt_tokens_details": {"cached_tokens": None, "cache_creation_tokens": 3}}, 0, 3),
        ({"prompt_tokens_details": None}, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99}}, 10, 0),
        ({"prompt_tokens_details": "none"}, 0, 0),
    ],
)
def test_every_provider_tells_it_in_its_own_words(told: dict[str, Any], cached: int, written: int) -> None:
    assert read_usage({"prompt_tokens": 10, **told}) == Usage(10, 0, cached, written)


def test_a_line_of_the_ledger_from_before_has_no_cached_tokens() -> None:
    made = Completion((), tokens_in=10, tokens_cached=6, cost_usd=1.0)
    record = made.to_record()
    assert Completion.from_record({**record, "replayed": False}) == made
    del record["tokens_cached"], record["tokens_written"]
    assert Completion.from_record(record).tokens_cached == 0


def test_a_replayed_completion_counts_no_cached_tokens() -> None:
    made = Completion((), tokens_in=10, tokens_cached=6, cost_usd=1.0)
    assert Counts(**made.counted()).cached_share == pytest.approx(0.6)
    assert Counts(**Completion.from_record(made.to_record()).counted()).tokens_cached == 0
    assert Counts(**made.counted()).as_replayed() == Counts(replayed=1, bought_usd=1.0)


def test_a_budget_admits_more_calls_where_prompts_are_cached() -> None:
    price = Price.model_validate(PRICE)

    def admitted(cached: int) -> int:
        spending = Spending(Budget(usd=0.945), Spent(), on_used_up=lambda: None)
        while spending.admits(in_flight=0):
            spending.note(Completion((), tokens_in=100, tokens_cached=cached, cost_usd=price.cost(Usage(100, 0, cached))))
        return spending.now.calls

    assert (admitted(0), admitted(90)) == (10, 50)


@pytest.mark.parametrize("model", ["anthropic/claude-sonnet-4-5", "openai/gpt-4o", "deepseek/deepseek-chat", "openai/gpt-5.6"])
def test_the_cost_is_what_litellm_says(model: str) -> None:
    price = price_of(Endpoint(model=model))
    assert price is not None
    litellm = load_litellm()
    details = {"cached_tokens": 2000, "cache_creation_tokens": 500}
    usage = litellm.Usage(prompt_tokens=4000, completion_tokens=300, prompt_tokens_details=details)
    reply = litellm.ModelResponse(model=model.partition("/")[2], usage=usage)
    assert price.cost(Usage(4000, 300, 2000, 500)) == pytest.approx(litellm.completion_cost(reply, model=model))


def test_what_prompts_cost_is_foreseen_by_the_share_that_was_cached_before() -> None:
    price = Price.model_validate(PRICE)
    assert [price.of_prompts(share) for share in (0, 0.5, 1)] == [1000, 550, 100]
    assert Price(input=1000, output=0).of_prompts(0.5) == 1000


def test_in_batches_cached_tokens_cost_half_too() -> None:
    endpoint = Endpoint(model="m", api_base="http://localhost:1/v1", price=Price(input=4, output=8, cached=2), mode="batch")
    assert price_of(endpoint) == Price(input=2, output=4, cached=1)
