"""What the direct client and litellm make of replies: the same completion, or the same complaint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sdg_prefect.models.completion import Choice
from sdg_prefect.models.failures import Reach
from tests.unit.models.canned import CHAT, MESSAGE, TEXT, both_clients, chat, completed, failed, http, reply_of, text

pytestmark = both_clients

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
