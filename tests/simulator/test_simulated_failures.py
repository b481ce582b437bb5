"""What goes wrong with the simulated model, when it is told to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from pydantic import ValidationError

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings


def post(model: SimulatedModel, prompt: str = "Say something.", **extra: Any) -> httpx.Response:
    body = {"model": "simulated", "messages": [{"role": "user", "content": prompt}]}
    return httpx.post(f"{model.url}/chat/completions", json=body, verify=False, **extra)


def error_of(response: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = response.json()["error"]
    return error


def statuses(settings: SimulatorSettings, prompts: int = 40, attempts: int = 3) -> list[list[int]]:
    with SimulatedModel(settings) as model:
        return [[post(model, f"Prompt {n}").status_code for _ in range(attempts)] for n in range(prompts)]


def test_the_same_settings_fail_the_same_calls() -> None:
    settings = SimulatorSettings(error_429_share=0.2, error_5xx_share=0.2)
    assert statuses(settings) == statuses(settings)
    assert statuses(settings) != statuses(settings.model_copy(update={"seed": 1}))


def test_a_retry_of_a_failed_call_can_succeed() -> None:
    seen = statuses(SimulatorSettings(error_429_share=0.25, error_5xx_share=0.25))
    failed = [row for row in seen if row[0] != 200]
    assert 0.3 < len(failed) / len(seen) < 0.7
    assert any(200 in row[1:] for row in failed)
    assert {status for row in seen for status in row} <= {200, 429, 500, 502, 503}


def test_a_rate_limit_says_when_to_come_back() -> None:
    with SimulatedModel(SimulatorSettings(error_429_share=1, retry_after=0.25)) as model:
        response = post(model)
    assert response.status_code == 429
    assert response.headers["retry-after"] == "0.25"
    assert error_of(response)["code"] == "rate_limit_exceeded"


def test_a_refused_prompt_is_refused_every_time() -> None:
    seen = statuses(SimulatorSettings(refusal_share=0.3))
    assert {tuple(row) for row in seen} == {(200, 200, 200), (400, 400, 400)}
    with SimulatedModel(SimulatorSettings(refusal_share=1)) as model:
        assert error_of(post(model))["code"] == "content_filter"


def test_a_timeout_is_never_answered_and_ends_when_the_client_leaves() -> None:
    with SimulatedModel(SimulatorSettings(timeout_share=1)) as model:
        with pytest.raises(httpx.ReadTimeout):
            post(model, timeout=0.2)
        # Two clients that leave one after the other: the first is gone by the time the second one gives up.
        with pytest.raises(httpx.ReadTimeout):
            post(model, timeout=0.2)
        stats = model.stats()
    assert stats["calls"] == 2
    assert stats["by_status"]["499"] >= 1


def test_a_malformed_reply_has_no_tags() -> None:
    with SimulatedModel(SimulatorSettings(malformed_share=1)) as model:
        prompt = "Write a question between [Start of Question] and [End of Question] tags."
        text = post(model, prompt).json()["choices"][0]["message"]["content"]
    assert "[" not in text


def test_a_broken_body_is_cut() -> None:
    with SimulatedModel(SimulatorSettings(broken_json_share=1)) as model:
        response = post(model)
    assert response.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        response.json()


def test_a_long_prompt_does_not_fit_the_window() -> None:
    with SimulatedModel(SimulatorSettings(context_window=10)) as model:
        assert post(model, "ten words at most fit into this small window").status_code == 200
        response = post(model, "word " * 11)
    assert response.status_code == 400
    assert error_of(response)["code"] == "context_length_exceeded"


def test_only_the_right_key_opens() -> None:
    with SimulatedModel(SimulatorSettings(api_key="right")) as model:
        assert post(model, headers={"Authorization": "Bearer right"}).status_code == 200
        for response in (post(model), post(model, headers={"Authorization": "Bearer wrong"})):
            assert response.status_code == 401
            assert error_of(response)["code"] == "invalid_api_key"
        assert httpx.get(f"{model.url}/models").status_code == 401


def test_only_the_named_models_are_served() -> None:
    with SimulatedModel(SimulatorSettings(models=("small", "large"))) as model:
        listed = httpx.get(f"{model.url}/models").json()["data"]
        response = post(model)
    assert [entry["id"] for entry in listed] == ["small", "large"]
    assert response.status_code == 404
    assert error_of(response)["code"] == "model_not_found"


def test_a_quota_runs_out_and_can_be_raised() -> None:
    with SimulatedModel(SimulatorSettings(quota=2)) as model:
        assert [post(model).status_code for _ in range(3)] == [200, 200, 429]
        assert error_of(post(model))["code"] == "insufficient_quota"
        model.change(quota=None)
        assert post(model).status_code == 200


def test_calls_above_the_concurrency_limit_are_turned_away() -> None:
    async def flood(url: str) -> list[int]:
        body = {"model": "m", "messages": [{"role": "user", "content": "Hi."}]}

        async def one(session: aiohttp.ClientSession) -> int:
            async with session.post(f"{url}/chat/completions", json=body) as response:
                return response.status

        async with aiohttp.ClientSession() as session:
            return await asyncio.gather(*(one(session) for _ in range(8)))

    with SimulatedModel(SimulatorSettings(max_concurrency=3, latency=0.3)) as model:
        seen = asyncio.run(flood(model.url))
    assert sorted(seen) == [200] * 3 + [429] * 5
    assert model.stats()["by_status"] == {"200": 3, "429": 5}


def test_latency_and_tails_are_kept() -> None:
    with SimulatedModel(SimulatorSettings(latency=0.05, tail_share=1, tail_latency=0.2)) as model:
        assert post(model).elapsed.total_seconds() >= 0.2
        model.change(tail_share=0)
        assert 0.05 <= post(model).elapsed.total_seconds() < 0.2


def test_a_senseless_request_is_told_what_is_wrong() -> None:
    with SimulatedModel() as model:
        for body in (b"{", b"[]", b"{}", b'{"model": "m"}', b'{"model": "m", "messages": []}'):
            response = httpx.post(f"{model.url}/chat/completions", content=body)
            assert response.status_code == 400
            assert error_of(response)["message"]
        assert httpx.get(f"{model.url}/nothing").status_code == 404


def test_stats_count_what_happened_and_can_be_reset() -> None:
    with SimulatedModel() as model:
        body = {"model": "small", "prompt": ["One.", "Two."], "n": 3}
        httpx.post(f"{model.url}/completions", json=body)
        root = model.url.removesuffix("/v1")
        stats = httpx.get(f"{root}/stats").json()
        assert stats == model.stats()
        assert stats == {
            "calls": 1,
            "completions": 6,
            "batches": 0,
            "batch_requests": 0,
            "in_flight": 0,
            "peak_in_flight": 1,
            "by_status": {"200": 1},
            "by_model": {"small": 1},
        }
        assert httpx.post(f"{root}/stats/reset").json()["calls"] == 0


def test_requests_are_recorded_and_logged_on_demand(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    with SimulatedModel(SimulatorSettings(record=True, log=log)) as model:
        post(model, "Remember me.")
    assert model.requests[0]["messages"][0]["content"] == "Remember me."
    (line,) = map(json.loads, log.read_text().splitlines())
    assert line["model"] == "simulated"
    assert line["messages"] == model.requests[0]["messages"]
    assert line["status"] == 200


def test_settings_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValidationError, match="more than 1"):
        SimulatorSettings(error_429_share=0.6, error_5xx_share=0.6)
    with pytest.raises(ValidationError):
        SimulatorSettings(latncy=1)  # type: ignore[call-arg]


def test_a_taken_port_is_told_at_once() -> None:
    with SimulatedModel() as model:
        port = int(model.url.split(":")[-1].removesuffix("/v1"))
        with pytest.raises(OSError), SimulatedModel(port=port):
            raise AssertionError("the port is taken")


def test_serving_ends_cleanly_on_a_signal() -> None:
    program = (
        "from sdg_prefect.simulator import SimulatorSettings, serve\n"
        "serve(SimulatorSettings(), on_ready=lambda url: print(url, flush=True))\n"
        "print('ended')\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/health").status_code == 200
        process.terminate()
        assert process.communicate(timeout=60)[0] == "ended\n"
        assert process.returncode == 0


def test_importing_the_package_does_not_import_aiohttp() -> None:
    program = "import sys, sdg_prefect.simulator; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_journal_tells_when_each_reply_was_ready() -> None:
    with SimulatedModel(SimulatorSettings(record=True, latency=0.01)) as model:
        before = time.monotonic()
        post(model, "Answered.")
        model.change(refusal_share=1)
        post(model, "Refused.")
        answered, refused = model.journal
    assert (answered.status, answered.body["messages"][0]["content"]) == (200, "Answered.")
    assert answered.ended is not None
    assert before <= answered.began < answered.ended <= time.monotonic()
    assert (refused.status, refused.body["messages"][0]["content"]) == (400, "Refused.")
