"""What the direct client and litellm send: the same bodies, the key in its header only, and many calls at once."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from tests.unit.models.canned import CHAT, TEXT, Canned, ask, both_clients, chat, completed, error, http, text

pytestmark = both_clients

KEY = "sk-test-0123456789"


@pytest.mark.parametrize(
    ("model", "known_as"),
    [
        ("teacher", "teacher"),
        ("openai/teacher", "teacher"),
        ("openai/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("openai/mistral/large", "mistral/large"),
        ("meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
        ("hosted_vllm/Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("hosted_vllm/openai/gpt-oss-20b", "openai/gpt-oss-20b"),
        ("simulated/teacher", "simulated/teacher"),
    ],
)
def test_the_server_is_asked_for_the_name_that_it_knows(client: str, model: str, known_as: str) -> None:
    server = Canned([http(200, chat()), http(200, text())])
    ask(client, server, model=model)
    ask(client, server, TEXT, model=model)
    assert [(asked.path, asked.body["model"]) for asked in server.asked] == [
        ("/v1/chat/completions", known_as),
        ("/v1/completions", known_as),
    ]


def test_parameters_reach_the_server(client: str) -> None:
    server = Canned([http(200, chat())])
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    asked_for = {
        "temperature": 0.5,
        "n": 2,
        "stop": ["END"],
        "logprobs": True,
        "top_logprobs": 3,
        "tools": tools,
        "logit_bias": {15: -100},
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "seed": None,
        "timeout": 1,
        "extra_body": {"top_k": 20, "min_p": 0.1},
        "extra_headers": {"X-Team": "red"},
    }
    request = Request("teacher", "row", messages=[{"role": "user", "content": "é \u2028"}], params=asked_for)
    made = ask(client, server, request, params={"max_tokens": 9, "n": 1})
    assert isinstance(made, Completion), made
    (asked,) = server.asked
    expected = {
        name: value for name, value in asked_for.items() if name not in ("seed", "timeout", "extra_body", "extra_headers")
    }
    expected |= {"model": "m", "messages": [{"role": "user", "content": "é \u2028"}], "max_tokens": 9, "top_k": 20, "min_p": 0.1}
    assert asked.body == {**expected, "logit_bias": {"15": -100}}
    assert asked.headers["x-team"] == "red"
    assert asked.headers["content-type"] == "application/json"


def test_a_raw_prompt_reaches_the_server_as_it_stands(client: str) -> None:
    server = Canned([http(200, text())])
    ask(
        client,
        server,
        Request("teacher", "row", prompt="<s> 1 + 1 =", params={"logprobs": 5, "echo": True, "extra_body": {"top_k": 1}}),
    )
    assert server.asked[0].body == {"model": "m", "prompt": "<s> 1 + 1 =", "logprobs": 5, "echo": True, "top_k": 1}


def test_the_key_goes_into_its_header(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    server = Canned([http(200, chat())])
    ask(client, server, api_key_env="MY_KEY")
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_nowhere_else(
    client: str, status: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server = Canned([error(status, f"Incorrect API key provided: {KEY}. Headers: Authorization: Bearer {KEY}")])
    made = ask(client, server, api_key_env="MY_KEY")
    assert isinstance(made, CallError)
    assert "[key]" in made.message
    assert KEY not in made.message
    assert KEY not in str(made)
    assert KEY not in caplog.text
    assert KEY not in "".join(capfd.readouterr())


def test_calls_run_side_by_side(client: str) -> None:
    server = Canned([http(200, chat(), keeps=True)])

    async def calls() -> list[Completion]:
        async with server.serve() as url:
            caller = connect(Endpoint.model_validate({"model": "m", "api_base": url, "client": client}))
            try:
                return await asyncio.gather(*(caller.complete(CHAT) for _ in range(150)))
            finally:
                await caller.close()

    assert {made.choices[0].text for made in asyncio.run(calls())} == {"hi"}
    assert server.most_open == 150


def test_one_client_after_another_works_on_other_loops(client: str) -> None:
    assert [completed(client, chat()).choices[0].text for _ in range(2)] == ["hi", "hi"]
