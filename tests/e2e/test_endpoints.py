"""Where calls go: names of models, addresses, reward models beside them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sdg_prefect import generate
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

pytestmark = pytest.mark.e2e

CLIENTS = ("openai", "litellm")
PROMPT = "generation: Say something about {{text}}.\nstart_tags: ['']\nend_tags: ['']\n"


def _flow(folder: Path, *items: dict[str, object]) -> Path:
    (folder / "ask.yaml").write_text(PROMPT)
    path = folder / "flow.yaml"
    path.write_text(json.dumps(list(items)))
    return path


def _ask(model_id: str, name: str = "ask") -> dict[str, object]:
    config = {"block_name": name, "config_path": "ask.yaml", "model_id": model_id, "output_cols": [f"{name}_reply"]}
    return {"block_type": "LLMBlock", "block_config": config}


def _models(folder: Path, **endpoints: dict[str, object]) -> None:
    (folder / "models.yaml").write_text(json.dumps(endpoints))


@pytest.mark.parametrize("model_id", ["teacher", "openai/gpt-oss-20b", "mistral/large", "meta-llama/Llama-3.3-70B-Instruct"])
def test_behind_a_bare_address_a_model_is_asked_for_under_its_whole_name(model_id: str, tmp_path: Path) -> None:
    with SimulatedModel(SimulatorSettings(record=True)) as server:
        generate(_flow(tmp_path, _ask(model_id)), [{"text": "tea"}], api_base=server.url, storage=tmp_path / "store")
        assert [request["model"] for request in server.requests] == [model_id]


@pytest.mark.parametrize(
    ("model", "known_as"), [("teacher", "teacher"), ("openai/a/b", "a/b"), ("hosted_vllm/a/b", "a/b"), ("a/b", "a/b")]
)
def test_both_clients_give_the_same_rows_for_the_same_calls(model: str, known_as: str, tmp_path: Path) -> None:
    seeds = [{"text": f"topic {number}, größer 🎉"} for number in range(6)]
    rows, bodies = {}, {}
    for client in CLIENTS:
        (tmp_path / client).mkdir()
        flow = _flow(tmp_path / client, _ask("teacher"))
        with SimulatedModel(SimulatorSettings(record=True)) as server:
            _models(flow.parent, teacher={"model": model, "api_base": server.url, "client": client, "params": {"top_k": 5}})
            rows[client] = generate(flow, seeds, storage=flow.parent / "store").to_list()
            bodies[client] = sorted(json.dumps(request, sort_keys=True) for request in server.requests)
    assert rows["openai"] == rows["litellm"]
    assert bodies["openai"] == bodies["litellm"]
    assert {json.loads(body)["model"] for body in bodies["openai"]} == {known_as}


def test_a_run_on_servers_of_ones_own_does_not_import_litellm(tmp_path: Path) -> None:
    flow = _flow(tmp_path, _ask("teacher"))
    code = f"""
import sys
from sdg_prefect import generate
for where in ({{}}, {{"api_base": sys.argv[1]}}):
    rows = generate({str(flow)!r}, [{{"text": "tea"}}], model="simulated/teacher", fresh=True, storage={str(tmp_path / "store")!r}, **where)
    assert rows[0]["ask_reply"]
print("litellm" in sys.modules)
"""
    with SimulatedModel() as server:
        ran = subprocess.run([sys.executable, "-c", code, server.url], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1:] == ["False"], ran.stderr


@pytest.mark.parametrize("client", CLIENTS)
def test_models_behind_one_address_share_its_limit(client: str, tmp_path: Path) -> None:
    flow = _flow(tmp_path, _ask("writer", "write"), _ask("judge", "judge"))
    _models(tmp_path, writer={"model": "writer", "client": client}, judge={"model": "judge", "client": client})
    seeds = [{"text": f"topic {number}"} for number in range(24)]
    with SimulatedModel(SimulatorSettings(latency=0.05)) as server:
        generate(flow, seeds, api_base=server.url, storage=tmp_path / "store", concurrency=3, shard_size=2)
        assert server.stats()["peak_in_flight"] <= 3


def test_a_reward_model_keeps_its_own_address_whatever_serves_the_others(tmp_path: Path) -> None:
    with SimulatedModel() as rewards, SimulatedModel() as server:
        address, _, _ = rewards.url.rpartition("/v1")
        host, _, port = address.rpartition(":")
        score: dict[str, object] = {
            "block_type": "PRMBlock",
            "block_config": {
                "block_name": "score",
                "host": host,
                "port": int(port),
                "model_name": "prm",
                "prompt_col": "text",
                "response_col": "answer",
            },
        }
        seeds = [{"text": "What is 2 + 2 + 1?", "answer": "2 + 2 = 4\n\n4 + 1 = 5"}]
        rows = generate(_flow(tmp_path, _ask("teacher"), score), seeds, api_base=server.url, storage=tmp_path / "store")
        assert len(rows[0]["step_rewards"]) == 2
        assert all(0 <= reward <= 1 for reward in rows[0]["step_rewards"])
        assert server.stats()["calls"] == 1
