"""Agents behind HTTP, asked over real connections."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sdg_prefect.models.completion import Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint, resolve_endpoints
from sdg_prefect.models.failures import CallError, Reach
from tests.services import Answer, Service, langflow, langgraph, serve

ASK = [{"role": "system", "content": "s"}, {"role": "user", "content": "rain?"}]
PATHS = {"request_message_path": "in.text", "response_text_path": "out.0.text"}


def ask(answer: Answer, kind: str, messages: list[dict[str, str]] = ASK, path: str = "", **fields: Any) -> tuple[Any, Service]:
    """Ask an agent once."""

    async def once(endpoint: Endpoint) -> Any:
        agent = connect(endpoint)
        try:
            completion = await agent.complete(Request("agent", "row", messages=messages, params={"session_id": "s1"}))
        finally:
            await agent.close()
        return json.loads(completion.choices[0].text or "")

    with serve(answer) as service:
        return asyncio.run(once(Endpoint(model=kind, api_base=service.url + path, client="agent", agent=kind, **fields))), service


def refused(answer: Answer, kind: str = "langflow", **fields: Any) -> CallError:
    with pytest.raises(CallError) as told:
        ask(answer, kind, **fields)
    return told.value


def test_langflow_gets_the_last_words_and_gives_text_tools_and_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOW_KEY", "k1")
    said, service = ask(langflow, "langflow", path="/api/v1/run/mine", api_key_env="FLOW_KEY")
    path, body, headers = service.asked[0]
    assert (path, headers["x-api-key"]) == ("/api/v1/run/mine", "k1")
    assert body == {"output_type": "chat", "input_type": "chat", "input_value": "rain?", "session_id": "s1"}
    call, result, answer = said["messages"]
    assert call["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"place": "rain?"}'}
    assert (result["role"], result["content"], result["tool_call_id"]) == ("tool", "sunny", call["tool_calls"][0]["id"])
    assert (answer["content"], said["custom_outputs"]) == ("said rain?", {"session_id": "s1"})


def test_langgraph_runs_on_a_thread_of_its_own_and_gives_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not for agents")
    options = {"assistant_id": "mine", "run_config": {"configurable": {"model": "m"}}}
    said, service = ask(langgraph, "langgraph", params=options)
    assert [path for path, _, _ in service.asked] == ["/threads", "/threads/t-s1/runs/wait"]
    assert service.asked[1][1] == {"assistant_id": "mine", "input": {"messages": ASK}, "config": options["run_config"]}
    assert not {"authorization", "x-api-key"} & set(service.asked[1][2])
    assert [message["role"] for message in said["messages"]] == ["user", "user", "assistant", "tool", "assistant"]
    assert said["messages"][-1]["content"] == "It is sunny."


def test_any_server_says_where_question_and_answer_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "k2")
    params = {**PATHS, "request_session_id_path": "in.session", "response_session_id_path": "id"}
    said, service = ask(lambda *_: {"out": [{"text": 42}], "id": 7}, "generic_http", params=params, api_key_env="KEY")
    assert service.asked[0][1] == {"in": {"text": "rain?", "session": "s1"}}
    assert service.asked[0][2]["authorization"] == "Bearer k2"
    assert (said["messages"][0]["content"], said["custom_outputs"]) == ("42", {"session_id": "7"})


@pytest.mark.parametrize(
    ("answer", "error", "reach"),
    [
        (lambda *_: 429, "RateLimited", Reach.CALL),
        (lambda *_: 503, "ServerError", Reach.CALL),
        (lambda *_: 401, "WrongKey", Reach.RUN),
        (lambda *_: 400, "BadRequest", Reach.ROW),
        (lambda *_: {"outputs": []}, "NoAnswer", Reach.ROW),
        (lambda *_: ["no object"], "BrokenReply", Reach.CALL),
    ],
    ids=["429", "503", "401", "400", "nothing", "list"],
)
def test_failures_are_those_of_the_table(answer: Answer, error: str, reach: Reach) -> None:
    verdict = refused(answer).verdict
    assert (verdict.error, verdict.reach) == (error, reach)


def test_an_agent_that_is_not_there_and_a_question_without_words_are_told() -> None:
    async def once() -> None:
        agent = connect(Endpoint(model="a", api_base="http://127.0.0.1:1", client="agent", agent="langflow"))
        try:
            await agent.complete(Request("a", "row", messages=ASK))
        finally:
            await agent.close()

    with pytest.raises(CallError, match="connection error"):
        asyncio.run(once())
    assert refused(langflow, messages=[{"role": "assistant", "content": "hm"}]).verdict.error == "BadMessages"


def test_an_agent_stays_where_its_block_says_wherever_models_are_served() -> None:
    agent = Endpoint(model="a", api_base="http://agent", client="agent", agent="langgraph")
    resolved = resolve_endpoints({"a", "m"}, {"a": agent}, "other", "http://models/v1")
    assert resolved["a"] == agent
    assert resolved["m"].api_base == "http://models/v1"
