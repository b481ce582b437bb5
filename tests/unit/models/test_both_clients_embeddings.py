"""Embeddings, over both clients: the same vector, or the same complaint."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.queue import prompt_tokens
from sdg_prefect.models.vectors import pack
from tests.unit.models.canned import Canned, ask, both_clients, completed, failed, http

pytestmark = both_clients

EMBED = Request("embedder", "row", text="bees dance", params={"dimensions": 2})


def vectors(*embeddings: Any, **fields: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(embeddings)]
    return {"object": "list", "model": "served", "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}, **fields}


def test_a_vector_is_read_with_what_it_took(client: str) -> None:
    made = completed(client, vectors([0.5, -0.25]), EMBED, price={"input": 1000, "output": 5})
    assert [choice.text for choice in made.choices] == [pack([0.5, -0.25])]
    assert (made.model, made.tokens_in, made.tokens_out) == ("served", 3, 0)
    assert made.cost_usd == pytest.approx(0.003)
    assert Completion.from_record(made.to_record()).choices == made.choices


def test_the_text_goes_to_the_place_for_embeddings(client: str) -> None:
    server = Canned([http(200, vectors([1.0, 2.0]))])
    assert isinstance(ask(client, server, EMBED), Completion)
    (asked,) = server.asked
    assert asked.path.endswith("/embeddings")
    assert asked.body["input"] in ("bees dance", ["bees dance"])
    assert (asked.body["model"], asked.body["dimensions"], asked.body["encoding_format"]) == ("m", 2, "float")


@pytest.mark.parametrize("reply", [{"data": []}, {"data": [{"embedding": []}]}, {"data": [{"index": 0}]}])
def test_a_reply_without_a_vector_is_broken(client: str, reply: dict[str, Any]) -> None:
    broken = failed(client, http(200, {"object": "list", "model": "served", **reply}), EMBED)
    assert isinstance(broken, CallError)
    assert broken.verdict.error == "BrokenReply"


def test_a_text_to_embed_and_a_prompt_of_the_same_words_are_two_requests(client: str) -> None:
    prompt = Request("embedder", "row", prompt="bees dance", params={"dimensions": 2})
    assert EMBED.key("m") != prompt.key("m")
    assert (EMBED.route, prompt.route, Request("m", "r", messages=[]).route) == ("embeddings", "completions", "chat/completions")
    assert prompt_tokens(EMBED) == prompt_tokens(prompt) > 0
