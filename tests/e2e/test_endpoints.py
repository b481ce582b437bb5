"""Where calls go: names of models, addresses, reward models beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdg_prefect import generate
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

pytestmark = pytest.mark.e2e

PROMPT = "generation: Say something about {{text}}.\nstart_tags: ['']\nend_tags: ['']\n"


def _flow(folder: Path, *items: dict[str, object]) -> Path:
    (folder / "ask.yaml").write_text(PROMPT)
    path = folder / "flow.yaml"
    path.write_text(json.dumps(list(items)))
    return path


def _ask(model_id: str, name: str = "ask") -> dict[str, object]:
    config = {"block_name": name, "config_path": "ask.yaml", "model_id": model_id, "output_cols": [f"{name}_reply"]}
    return {"block_type": "LLMBlock", "block_config": config}


@pytest.mark.parametrize("model_id", ["teacher", "openai/gpt-oss-20b", "mistral/large", "meta-llama/Llama-3.3-70B-Instruct"])
def test_behind_a_bare_address_a_model_is_asked_for_under_its_whole_name(model_id: str, tmp_path: Path) -> None:
    with SimulatedModel(SimulatorSettings(record=True)) as server:
        generate(_flow(tmp_path, _ask(model_id)), [{"text": "tea"}], api_base=server.url, storage=tmp_path / "store")
        assert [request["model"] for request in server.requests] == [model_id]


def test_models_behind_one_address_share_its_limit(tmp_path: Path) -> None:
    flow = _flow(tmp_path, _ask("writer", "write"), _ask("judge", "judge"))
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
