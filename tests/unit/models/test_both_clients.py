"""What the direct client and litellm have to agree on: what they send, what they make of replies, and what failures are to them."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import LONGEST_REST, CallError, Reach
from tests.unit.models.canned import (
    CHAT,
    CLIENTS,
    MESSAGE,
    NEVER,
    TEXT,
    Canned,
    ask,
    chat,
    completed,
    error,
    failed,
    http,
    reply_of,
    text,
)

pytestmark = [
    pytest.mark.parametrize("client", CLIENTS),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # litellm's own types, when a reply does not fit them
]

KEY = "sk-test-0123456789"
CALL = {"name": "f", "arguments": '{"a": 1}'}
TOOL = {"id": "t", "type": "function", "function": CALL}


def test_a_reply_is_read_with_what_it_took(client: str) -> None:
    made = completed(client, chat(), price={"input": 1000, "output": 2000})
    assert made.choices == (Choice("hi", "stop"),)
    assert (made.model, made.tokens_in, made.tokens_out) == ("served", 3, 2)
    assert made.cost_usd == pytest.approx(0.007)
    assert made.seconds > 0


@pytest.mark.parametrize(
    ("model", "price", "cost"), [("openai/gpt-4o", None, None), ("m", None, None), ("simulated/m", None, 0.0)]
)
def test_the_cost_is_not_guessed(client: str, model: str, price: Any, cost: float | None) -> None:
    assert completed(client, chat(), model=model, price=price).cost_usd == cost


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, "absent"])
def test_a_reply_without_usage_counts_no_tokens(client: str, usage: Any) -> None:
    reply = chat()
    if usage == "absent":
        del reply["usage"]
    else:
        reply["usage"] = usage
    made = completed(client, reply)
    assert (made.tokens_in, made.tokens_out) == (0, 0)


@pytest.mark.parametrize("model", [None, "absent"])
def test_a_reply_without_a_model_has_the_endpoints(client: str, model: str | None) -> None:
    reply = chat()
    if model is None:
        reply["model"] = None
    else:
        del reply["model"]
    assert completed(client, reply).model == "openai/m"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"role": "assistant", "content": None}, Choice(None, "stop")),
        ({"role": "assistant"}, Choice(None, "stop")),
        ({"role": "assistant", "content": ""}, Choice("", "stop")),
        ({**MESSAGE, "reasoning_content": "r"}, Choice("hi", "stop", "r")),
        ({**MESSAGE, "reasoning": "r"}, Choice("hi", "stop", "r")),
        ({**MESSAGE, "content": "<think>\nx\n</think>\n\ny"}, Choice("\n\ny", "stop", "\nx\n")),
        ({**MESSAGE, "content": "<think>x</think>y", "reasoning_content": None}, Choice("<think>x</think>y", "stop")),
        ({**MESSAGE, "content": "a <think>x</think> y"}, Choice("a <think>x</think> y", "stop")),
        ({**MESSAGE, "content": "<think>\nx"}, Choice("<think>\nx", "stop")),
        ({**MESSAGE, "tool_calls": []}, Choice("hi", "stop")),
        ({**MESSAGE, "content": None, "tool_calls": [TOOL]}, Choice(None, "tool_calls", tool_calls=[TOOL])),
        (
            {**MESSAGE, "content": None, "tool_calls": [{**TOOL, "index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]},
            Choice(None, "tool_calls", tool_calls=[{**TOOL, "index": 0}]),
        ),
    ],
)
def test_a_chat_message_is_read(client: str, message: dict[str, Any], expected: Choice) -> None:
    assert completed(client, chat(message)).choices == (expected,)


def test_a_tool_call_without_an_id_gets_one(client: str) -> None:
    (choice,) = completed(client, chat({**MESSAGE, "tool_calls": [{"function": CALL}]})).choices
    assert choice.tool_calls is not None
    (call,) = choice.tool_calls
    assert call["id"]
    assert (call["type"], call["function"]) == ("function", CALL)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "stop"),
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos_token", "stop"),
        ("max_tokens", "length"),
        ("abort", "stop"),
    ],
)
def test_reasons_of_several_servers_become_openais(client: str, said: str | None, reason: str) -> None:
    assert completed(client, chat(finish_reason=said)).choices[0].finish_reason == reason
    if said is not None:
        assert completed(client, text(finish_reason=said), TEXT).choices[0].finish_reason == reason


def test_choices_keep_the_order_in_which_they_come(client: str) -> None:
    choices = [
        {"index": place, "message": {**MESSAGE, "content": f"reply {place}"}, "finish_reason": "stop"} for place in (1, 0, 2)
    ]
    assert [choice.text for choice in completed(client, reply_of(*choices)).choices] == ["reply 1", "reply 0", "reply 2"]


def test_logprobs_of_chat_become_a_mapping_for_each_place(client: str) -> None:
    first = {"token": "h", "logprob": -0.1, "bytes": None}
    other = {"token": "j", "logprob": -2, "bytes": None}
    content = [{**first, "top_logprobs": [first, other]}, {"token": "i", "logprob": -0.5, "bytes": [105], "top_logprobs": []}]
    (choice,) = completed(client, chat(logprobs={"content": content})).choices
    assert choice.logprobs == [{"h": -0.1, "j": -2.0}, {"i": -0.5}]


@pytest.mark.parametrize("logprobs", [None, {"content": None}])
def test_no_logprobs_of_chat_are_none(client: str, logprobs: Any) -> None:
    assert completed(client, chat(logprobs=logprobs)).choices[0].logprobs is None


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ([{"h": -0.1, "j": -3.0}, {"i": -0.2}], [{"h": -0.1, "j": -3.0}, {"i": -0.2}]),
        ([None, {"i": -0.2}], [{}, {"i": -0.2}]),
        (None, None),
    ],
)
def test_logprobs_of_text_become_a_mapping_for_each_place(client: str, top: Any, expected: Any) -> None:
    logprobs = {"tokens": ["h", "i"], "token_logprobs": [-0.1, -0.2], "top_logprobs": top, "text_offset": [0, 1]}
    assert completed(client, text(logprobs=logprobs), TEXT).choices[0].logprobs == expected


def test_a_text_completion_is_read_as_it_stands(client: str) -> None:
    (choice,) = completed(client, text("<think>a</think>b"), TEXT).choices
    assert choice == Choice("<think>a</think>b", "stop")


@pytest.mark.parametrize("said", ["Größe 漢字 🎉 \u2028 \x00", "half \ud83d of one", "x" * 5_000_000])
@pytest.mark.parametrize("as_text", [False, True])
def test_any_text_comes_through(client: str, said: str, as_text: bool) -> None:
    for ensure_ascii in (False, True):
        body = json.dumps(text(said) if as_text else chat({**MESSAGE, "content": said}), ensure_ascii=ensure_ascii)
        raw = body.encode("utf-8", "surrogatepass")
        assert completed(client, http(200, raw), TEXT if as_text else CHAT).choices[0].text == said


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + json.dumps(chat()).encode(),
        json.dumps(chat(logprobs={"content": [{"token": "h", "logprob": -1e999, "bytes": None, "top_logprobs": []}]})).encode(),
    ],
)
def test_json_is_read_leniently(client: str, raw: bytes) -> None:
    assert completed(client, http(200, raw, {"Content-Type": "text/plain"})).choices[0].text == "hi"


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b""),
        http(200, b"hello"),
        http(200, "<html>hi</html>", {"Content-Type": "text/html"}),
        http(200, json.dumps(chat())[:100]),
        http(200, json.dumps(chat({**MESSAGE, "content": "é"}), ensure_ascii=False).encode("latin-1")),
        http(200, b"[1]"),
        http(200, b"null"),
        http(200, b"[" * 5000),
        http(200, {"ok": True}),
        http(200, reply_of()),
        http(200, reply_of(None)),
        http(200, reply_of("hi")),
        http(200, chat() | {"choices": None}),
        http(200, chat() | {"choices": {"0": "hi"}}),
        http(200, reply_of({"index": 0, "finish_reason": "stop"})),
        http(200, chat(None)),  # type: ignore[arg-type]
        http(200, chat("hi")),  # type: ignore[arg-type]
        http(200, chat({**MESSAGE, "content": 5})),
        http(200, chat({**MESSAGE, "content": [{"type": "text", "text": "hi"}]})),
        http(200, chat({**MESSAGE, "tool_calls": ["f"]})),
        http(200, text()),
    ],
)
def test_a_reply_that_is_no_chat_completion_is_broken(client: str, reply: bytes) -> None:
    failure = failed(client, reply)
    assert (failure.verdict.error, failure.verdict.reach) == ("BrokenReply", Reach.CALL)
    assert failure.message.startswith("the reply is not a completion: ")
    assert "Traceback" not in failure.message


@pytest.mark.parametrize(
    "reply",
    [
        http(200, b""),
        http(200, b"hello"),
        http(200, b"[1]"),
        http(200, {"ok": True}),
        http(200, reply_of()),
        http(200, reply_of(None)),
        http(200, text(None)),
        http(200, reply_of({"index": 0, "finish_reason": "stop"})),
        http(200, chat()),
    ],
)
def test_a_reply_that_is_no_text_completion_is_broken(client: str, reply: bytes) -> None:
    failure = failed(client, reply, TEXT)
    assert (failure.verdict.error, failure.verdict.reach) == ("BrokenReply", Reach.CALL)


STATUSES = [
    (400, "bad x", None, "BadRequest", Reach.ROW),
    (400, "stopped by the content filter", "content_filter", "ContentFilter", Reach.ROW),
    (400, "This model's maximum context length is 5 tokens.", "context_length_exceeded", "ContextWindowExceeded", Reach.ROW),
    (400, "no", "context_length_exceeded", "ContextWindowExceeded", Reach.ROW),
    (401, "Incorrect API key provided.", "invalid_api_key", "WrongKey", Reach.RUN),
    (402, "pay first", None, "QuotaUsedUp", Reach.RUN),
    (403, "no rights", None, "NotAllowed", Reach.RUN),
    (404, "The model `m` does not exist", "model_not_found", "UnknownModel", Reach.RUN),
    (408, "slow", None, "Timeout", Reach.CALL),
    (409, "twice", None, "Conflict", Reach.CALL),
    (413, "too large", None, "ContextWindowExceeded", Reach.ROW),
    (418, "a teapot", None, "BadRequest", Reach.ROW),
    (422, "n is wrong", None, "BadRequest", Reach.ROW),
    (425, "early", None, "TooEarly", Reach.CALL),
    (429, "slow down", "rate_limit_exceeded", "RateLimited", Reach.CALL),
    (429, "You exceeded your current quota", "insufficient_quota", "QuotaUsedUp", Reach.RUN),
    (500, "oops", None, "ServerError", Reach.CALL),
    (502, "oops", None, "ServerError", Reach.CALL),
    (503, "busy", None, "ServerError", Reach.CALL),
    (504, "nobody there", None, "Timeout", Reach.CALL),
    (529, "overloaded", None, "ServerError", Reach.CALL),
]


@pytest.mark.parametrize(("status", "message", "code", "kind", "reach"), STATUSES)
@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=["chat", "text"])
def test_a_status_is_looked_up_in_the_table(
    client: str, status: int, message: str, code: str | None, kind: str, reach: Reach, request_: Request
) -> None:
    failure = failed(client, error(status, message, code), request_)
    assert (failure.verdict.error, failure.verdict.reach) == (kind, reach)
    assert message in failure.message


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"object": "error", "message": "max_tokens is too small", "code": 400}, "max_tokens is too small"),
        (400, {"error": "the model is busy"}, "the model is busy"),
        (404, {"detail": "Not Found"}, "Not Found"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "n is wrong"}]}, "n is wrong"),
        (502, "<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
        (500, "", "500"),
        (400, [1], "[1]"),
    ],
)
def test_errors_of_several_servers_are_understood(client: str, status: int, body: Any, said: str) -> None:
    assert said in failed(client, http(status, body)).message


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"message": "overloaded", "code": 503}, "ServerError"),
        ({"message": "slow down", "code": 429}, "RateLimited"),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, "RateLimited"),
        ({"message": "maximum context length is 3", "code": 400}, "ContextWindowExceeded"),
        ({"message": "bad thing"}, "BadRequest"),
    ],
)
@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=["chat", "text"])
def test_an_error_with_the_status_of_a_success_is_an_error(client: str, found: Any, kind: str, request_: Request) -> None:
    failure = failed(client, http(200, {"error": found}), request_)
    assert (failure.verdict.error, failure.message) == (kind, found["message"])


@pytest.mark.parametrize("nothing", [None, {}, {"message": "", "code": None}])
def test_an_error_that_says_nothing_is_none(client: str, nothing: Any) -> None:
    assert completed(client, {**chat(), "error": nothing}).choices[0].text == "hi"


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait_may_be_said_in_seconds_or_as_a_date(client: str, status: int) -> None:
    def waits(retry_after: str) -> float | None:
        return failed(client, error(status, "slow down", headers={"Retry-After": retry_after})).retry_after

    now = datetime.now(UTC)
    assert waits("7") == 7.0
    assert waits("0.25") == 0.25
    assert waits("soon") is None
    assert waits("86400") == LONGEST_REST
    assert waits(format_datetime(now + timedelta(days=2), usegmt=True)) == LONGEST_REST
    assert waits(format_datetime(now - timedelta(days=2), usegmt=True)) == 0.0
    in_a_minute = waits(format_datetime(now + timedelta(minutes=1), usegmt=True))
    assert in_a_minute is not None
    assert 1 < in_a_minute <= 60


def test_no_reply_in_time_is_a_timeout(client: str) -> None:
    failure = failed(client, NEVER, timeout=0.3)
    assert (failure.verdict.error, failure.verdict.reach, failure.message) == ("Timeout", Reach.CALL, "no reply within 0.3 s")


@pytest.mark.parametrize(
    "reply", [b"", http(200, json.dumps(chat())[:60], length=500), b"HTTP/1.1 200 OK\r\nConnection: close\r\nConte"]
)
def test_a_connection_that_is_cut_is_nobody_there(client: str, reply: bytes) -> None:
    failure = failed(client, reply)
    assert (failure.verdict.error, failure.verdict.reach) == ("Unreachable", Reach.CALL)


def test_a_connection_that_is_refused_is_nobody_there(client: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        made = ask(client, Canned([NEVER]), api_base=url)
    assert isinstance(made, CallError)
    assert (made.verdict.error, made.verdict.reach) == ("Unreachable", Reach.CALL)


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


def test_what_a_server_says_is_kept_short_and_whole(client: str) -> None:
    message = failed(client, http(500, "<p>" + "half \ud83d".encode("utf-8", "replace").decode() * 2000)).message
    assert len(message) < 1100
    assert failed(client, http(400, {"error": {"message": "half \ud83d"}})).message == "half ?"


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
