"""Marks for providers that cache only what is marked: who gets them, and where they are in what is sent."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.prompt_cache import mark_of
from tests.unit.models.canned import Canned, ask, both_clients, chat, http

LONG = "Say only what the text says. " * 200
MARK = {"cache_control": {"type": "ephemeral"}}
BREAKPOINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def user(text: str, shared: int) -> Request:
    return Request("teacher", "row", messages=[{"role": "user", "content": text}], shared_prefix=shared)


LONG_ONE = user(f"{LONG}the row", len(LONG))


def marked(request: Request, at_least: int = 1024) -> list[Any]:
    """Return the contents of the messages of a request, marked for a cache of prefixes of so many tokens."""
    mark = mark_of(Endpoint(model="m", api_base="http://localhost:1/v1", prompt_cache="always"))
    assert mark is not None
    made, _ = replace(mark, at_least=at_least).put(request, {})
    return [message["content"] for message in made.messages or ()]


@pytest.mark.parametrize(
    ("model", "fields", "at_least"),
    [
        ("anthropic/claude-sonnet-4-5", {}, 1024),
        ("anthropic/claude-haiku-4-5", {}, 4096),
        ("claude-sonnet-4-5", {}, 1024),
        ("anthropic/claude-of-next-year", {}, 1024),
        ("anthropic/claude-sonnet-4-5", {"api_base": "http://localhost:1"}, 1024),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, 1024),
        ("bedrock/amazon.nova-pro-v1:0", {}, 1024),
        ("vertex_ai/claude-sonnet-4-5", {}, 1024),
        ("openrouter/anthropic/claude-sonnet-4.5", {}, 1024),
        ("my-claude", {"api_base": "http://localhost:1/v1", "prompt_cache": "always"}, 1024),
        ("openai/my-claude", {"api_base": "http://localhost:1/v1", "client": "litellm", "prompt_cache": "always"}, 1024),
    ],
)
def test_a_provider_that_caches_only_what_is_marked_gets_marks(model: str, fields: dict[str, Any], at_least: int) -> None:
    mark = mark_of(Endpoint.model_validate({"model": model, **fields}))
    assert mark is not None
    assert (mark.on_part, mark.on_request, mark.at_least) == (MARK, {}, at_least)


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("openai/gpt-5.6", {}),
        ("gpt-6-luna-2026-09-22", {}),
        ("gpt-5.6-sol", {"api_base": "https://api.openai.com/v1"}),
        ("gpt-6", {"api_base": "https://eu.api.openai.com/v1", "mode": "batch"}),
    ],
)
def test_newer_models_of_openai_get_marks_of_their_own(model: str, fields: dict[str, Any]) -> None:
    mark = mark_of(Endpoint.model_validate({"model": model, **fields}))
    assert mark is not None
    assert mark.on_part == BREAKPOINT
    assert mark.on_request == {"prompt_cache_options": {"mode": "explicit"}, "prompt_cache_key": "sdg_prefect"}


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("openai/gpt-4o", {}),
        ("gpt-5.1", {"api_base": "https://api.openai.com/v1"}),
        ("gpt-6", {"api_base": "https://api.openai.com.example.org/v1"}),
        ("azure/gpt-6", {"api_base": "http://localhost:1"}),
        ("deepseek/deepseek-chat", {}),
        ("gemini/gemini-2.5-pro", {}),
        ("gemini/gemini-2.5-pro", {"prompt_cache": "always"}),
        ("vertex_ai/gemini-2.5-pro", {"prompt_cache": "always"}),
        ("bedrock/anthropic.claude-v2:1", {}),
        ("replicate/anthropic/claude-4-sonnet", {}),
        ("claude-behind-a-gateway", {"api_base": "http://localhost:1/v1"}),
        ("anthropic/claude-sonnet-4-5", {"api_base": "http://localhost:1/v1", "client": "openai"}),
        ("anthropic/claude-sonnet-4-5", {"prompt_cache": "never"}),
        ("openai/gpt-5.6", {"prompt_cache": "never"}),
        ("simulated/teacher", {}),
        ("reward", {"api_base": "http://localhost:1/pooling", "client": "pooling", "prompt_cache": "always"}),
    ],
)
def test_who_caches_by_itself_or_not_at_all_gets_no_marks(model: str, fields: dict[str, Any]) -> None:
    assert mark_of(Endpoint.model_validate({"model": model, **fields})) is None


def test_a_mark_ends_what_is_shared_and_no_character_is_lost() -> None:
    ((first, second),) = marked(LONG_ONE)
    assert first == {"type": "text", "text": LONG, **MARK}
    assert second == {"type": "text", "text": "the row"}


def test_a_short_beginning_is_not_marked() -> None:
    short = user("Say this: the row", 10)
    assert marked(short) == ["Say this: the row"]
    assert marked(LONG_ONE, at_least=4096) == [LONG_ONE.messages[0]["content"]] if LONG_ONE.messages else None
    assert marked(user("好" * 1024 + "the row", 1024))[0][0]["text"] == "好" * 1024


def test_a_prompt_without_anything_shared_is_not_marked() -> None:
    assert marked(user(LONG, 0)) == [LONG]
    mark = mark_of(Endpoint(model="anthropic/claude-sonnet-4-5"))
    raw = Request("teacher", "row", prompt=LONG)
    assert mark is not None
    assert mark.put(raw, {}) == (raw, {})


def turns(*said: tuple[str, str], shared: int) -> Request:
    return Request("m", "row", messages=[{"role": role, "content": text} for role, text in said], shared_prefix=shared)


def test_a_beginning_of_several_messages_is_marked_once_at_its_end() -> None:
    request = turns(("system", LONG), ("user", "About the row"), shared=len(LONG) + len("About"))
    system, (about, row) = marked(request)
    assert system == LONG
    assert (about["text"], row["text"]) == ("About", " the row")
    system, last = marked(turns(("system", LONG), ("user", "the row"), shared=len(LONG)))
    assert (system, last) == ([{"type": "text", "text": LONG, **MARK}], "the row")


def test_a_reply_that_is_an_example_holds_no_mark() -> None:
    request = turns(("system", LONG), ("user", "Q"), ("assistant", "A"), ("user", "the row"), shared=len(LONG) + 2)
    assert marked(request) == [LONG, [{"type": "text", "text": "Q", **MARK}], "A", "the row"]


def sent(client: str, request: Request, reply: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the body that a client sends."""
    server = Canned([http(200, reply)])
    made = ask(client, server, request, **fields)
    assert isinstance(made, Completion), made
    assert made.choices[0].text == "hi"
    return server.asked[0].body


@both_clients[0]
@both_clients[1]
def test_over_the_openai_protocol_marks_are_sent_where_they_are_wanted(client: str) -> None:
    assert sent(client, LONG_ONE, chat(), prompt_cache="always")["messages"] == [{"role": "user", "content": marked(LONG_ONE)[0]}]
    assert sent(client, LONG_ONE, chat())["messages"] == LONG_ONE.messages


@both_clients[1]
def test_litellm_hands_on_marks_to_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    async def served() -> dict[str, Any]:
        server = Canned([http(200, chat())])
        async with server.serve() as url:
            monkeypatch.setenv("OPENAI_BASE_URL", url)
            monkeypatch.setenv("OPENAI_API_KEY", "none")
            caller = connect(Endpoint(model="openai/gpt-5.6", params={"extra_body": {"top_k": 5}}))
            await caller.complete(LONG_ONE)
            await caller.close()
        return server.asked[0].body

    body = asyncio.run(served())
    assert [part["text"] for part in body["messages"][0]["content"]] == [LONG, "the row"]
    assert body["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert (body["prompt_cache_options"], body["top_k"]) == ({"mode": "explicit"}, 5)


def test_what_extra_body_says_about_the_cache_stays() -> None:
    mark = mark_of(Endpoint(model="openai/gpt-5.6"))
    assert mark is not None
    own = {"prompt_cache_options": {"mode": "implicit"}, "prompt_cache_key": "mine", "top_k": 5}
    _, params = mark.put(LONG_ONE, {"extra_body": own})
    assert params["extra_body"] == own


def told_by_anthropic(request: Request, **fields: Any) -> tuple[dict[str, Any], Completion]:
    """Return what a server that speaks Anthropic's protocol is sent, and the completion that is made of its reply."""
    reply = {
        "id": "msg",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 30, "output_tokens": 5},
    }
    server = Canned([http(200, reply)])
    made = ask("litellm", server, replace(request, params={"max_tokens": 9}), model="anthropic/claude-sonnet-4-5", **fields)
    assert isinstance(made, Completion), made
    assert server.asked[0].path.endswith("/v1/messages")
    return server.asked[0].body, made


@both_clients[1]
def test_anthropic_is_told_where_the_row_begins() -> None:
    body, _ = told_by_anthropic(turns(("system", LONG), ("user", f"{LONG}the row"), shared=2 * len(LONG)))
    assert "cache_control" not in body["system"][0]
    assert body["messages"][0]["content"] == [{"type": "text", "text": LONG, **MARK}, {"type": "text", "text": "the row"}]


@both_clients[1]
def test_anthropic_is_told_that_the_system_message_is_shared() -> None:
    body, _ = told_by_anthropic(turns(("system", LONG), ("user", "the row"), shared=len(LONG)))
    assert body["system"] == [{"type": "text", "text": LONG, **MARK}]
    assert "cache_control" not in body["messages"][0]["content"][0]


@both_clients[1]
def test_anthropic_is_told_nothing_where_that_is_off() -> None:
    body, _ = told_by_anthropic(LONG_ONE, prompt_cache="never")
    assert body["messages"][0]["content"] == [{"type": "text", "text": f"{LONG}the row"}]


@both_clients[1]
def test_what_anthropic_had_in_its_cache_is_counted_and_paid() -> None:
    _, made = told_by_anthropic(LONG_ONE, price={"input": 3, "output": 15, "cached": 0.3, "written": 3.75})
    assert (made.tokens_in, made.tokens_cached, made.tokens_written, made.tokens_out) == (2040, 2000, 30, 5)
    assert made.cost_usd == pytest.approx((10 * 3 + 2000 * 0.3 + 30 * 3.75 + 5 * 15) / 1e6)
