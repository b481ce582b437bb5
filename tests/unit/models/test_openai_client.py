"""What the direct client does by itself: redirects, connections, proxies, replies without end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sdg_prefect.models import openai_client
from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, Reach
from tests.unit.models.canned import CHAT, NEVER, Canned, ask, chat, completed, failed, http


def calls(server: Canned, requests: Sequence[Request], **fields: object) -> list[Completion | CallError]:
    """Make calls one after another over one client."""

    async def run() -> list[Completion | CallError]:
        made: list[Completion | CallError] = []
        async with server.serve() as url:
            client = connect(Endpoint.model_validate({"model": "m", "api_base": url, **fields}))
            for request in requests:
                try:
                    made.append(await client.complete(request))
                except CallError as failure:
                    made.append(failure)
            await client.close()
        return made

    return asyncio.run(run())


@pytest.mark.parametrize("status", [307, 308])
def test_a_server_may_send_a_call_on_to_another_address_of_its_own(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    server = Canned([http(status, b"", {"Location": "/v2/chat"}), http(200, chat())])
    (made,) = calls(server, [CHAT], api_key_env="MY_KEY")
    assert isinstance(made, Completion)
    assert [asked.path for asked in server.asked] == ["/v1/chat/completions", "/v2/chat"]
    assert server.asked[1].raw == server.asked[0].raw
    assert server.asked[1].headers["authorization"] == "Bearer secret"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_is_sent_on_to_another_host(status: int) -> None:
    elsewhere = "http://127.0.0.2:9/v1/chat/completions"
    failure = failed("openai", http(status, b"", {"Location": elsewhere}))
    assert (failure.verdict.error, failure.verdict.reach) == ("Redirected", Reach.RUN)
    assert elsewhere in failure.message
    assert "api_base" in failure.verdict.hint


@pytest.mark.parametrize(
    ("kind", "error"), [("overloaded_error", "ServerError"), ("rate_limit_error", "RateLimited"), ("odd", "BadRequest")]
)
def test_an_error_with_the_status_of_a_success_may_say_what_it_is_by_its_type(kind: str, error: str) -> None:
    assert failed("openai", http(200, {"error": {"type": kind, "message": "no"}})).verdict.error == error


def test_a_page_in_place_of_a_reply_is_shown() -> None:
    failure = failed("openai", http(200, "<!doctype html><title>Chats</title>", {"Content-Type": "text/html"}))
    assert "'<!doctype html><title>Chats</title>'" in failure.message
    assert "/v1" in failure.verdict.hint


@pytest.mark.parametrize("location", [{}, {"Location": "http://[broken"}])
def test_a_redirect_to_nowhere_ends_the_run(location: dict[str, str]) -> None:
    assert failed("openai", http(308, b"", location)).verdict.error == "Redirected"


def test_redirects_in_a_circle_end() -> None:
    server = Canned([http(307, b"", {"Location": "/v1/chat/completions"})])
    made = ask("openai", server)
    assert isinstance(made, CallError)
    assert made.verdict.error == "Redirected"
    assert len(server.asked) < 10


def test_a_connection_serves_call_after_call() -> None:
    server = Canned([http(200, chat(), keeps=True)])
    assert len(calls(server, [CHAT] * 5)) == 5
    assert {asked.connection for asked in server.asked} == {1}


def test_a_call_on_a_kept_connection_that_is_cut_is_not_sent_again_in_silence() -> None:
    server = Canned([http(200, chat(), keeps=True), b"", http(200, chat(), keeps=True)])
    first, second, third = calls(server, [CHAT] * 3)
    assert isinstance(first, Completion)
    assert isinstance(second, CallError)
    assert (second.verdict.error, second.verdict.reach) == ("Unreachable", Reach.CALL)
    assert isinstance(third, Completion)
    assert [asked.connection for asked in server.asked] == [1, 1, 2]


def test_a_reply_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_client, "_LONGEST_REPLY", 2**20)
    failure = failed("openai", http(200, b"[" + b"1," * 2**20))
    assert (failure.verdict.error, failure.message) == ("BrokenReply", "the reply is not a completion: it is longer than 1 MiB")


def test_bytes_that_are_not_http_are_a_broken_reply() -> None:
    failure = failed("openai", b"\x00\x01 hello\r\n\r\n")
    assert (failure.verdict.error, failure.verdict.reach) == ("BrokenReply", Reach.CALL)


def test_a_call_that_cannot_be_written_rejects_its_row() -> None:
    server = Canned([NEVER])
    made = ask("openai", server, Request("teacher", "row", messages=[], params={"seed": object()}))
    assert isinstance(made, CallError)
    assert (made.verdict.error, made.verdict.reach) == ("BadRequest", Reach.ROW)
    assert not server.asked


def test_halves_of_characters_in_a_prompt_are_sent() -> None:
    server = Canned([http(200, chat())])
    ask("openai", server, Request("teacher", "row", messages=[{"role": "user", "content": "half \ud83d"}]))
    assert server.asked[0].body["messages"][0]["content"] == "half \ud83d"


def test_without_a_key_no_header_carries_one(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Canned([http(200, chat())])
    ask("openai", server)
    assert "authorization" not in server.asked[0].headers


def test_a_header_of_the_flow_takes_the_place_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server = Canned([http(200, chat())])
    ask("openai", server, Request("teacher", "row", messages=[], params={"extra_headers": {"authorization": "Basic x"}}))
    assert server.asked[0].headers["authorization"] == "Basic x"


def test_calls_go_through_the_proxy_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Canned([http(200, chat())])

    async def call() -> Completion:
        async with proxy.serve() as url:
            monkeypatch.setenv("http_proxy", url.removesuffix("/v1").replace("//", "//me:pw@"))
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            client = connect(Endpoint(model="m", api_base="http://models.invalid/v1"))
            try:
                return await client.complete(CHAT)
            finally:
                await client.close()

    assert asyncio.run(call()).choices[0].text == "hi"
    assert proxy.asked[0].path == "http://models.invalid/v1/chat/completions"
    assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")


def test_usage_of_any_kind_costs_no_completion() -> None:
    for usage in ([1], "many", {"prompt_tokens": "three", "completion_tokens": -1}, {"prompt_tokens": float("nan")}):
        made = completed("openai", {**chat(), "usage": usage})
        assert (made.tokens_in, made.tokens_out) == (0, 0)
    assert completed("openai", {**chat(), "usage": {"prompt_tokens": "3", "completion_tokens": 2.0}}).tokens_in == 3
