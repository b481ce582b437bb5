"""The simulated model tells how much of a prompt an earlier one began with, if it is asked to."""

from __future__ import annotations

from typing import Any

import httpx

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

RULES = "Say only what the text says. " * 20
"""140 tokens."""


def usage(server: SimulatedModel, content: Any, model: str = "m") -> dict[str, Any]:
    asked = {"model": model, "messages": [{"role": "user", "content": content}]}
    told: dict[str, Any] = httpx.post(f"{server.url}/chat/completions", json=asked).json()["usage"]
    return told


def test_what_prompts_begin_with_is_cached_in_whole_blocks() -> None:
    with SimulatedModel(SimulatorSettings(prompt_cache_tokens=64)) as server:
        told = [usage(server, f"{RULES}{row}")["prompt_tokens_details"]["cached_tokens"] for row in ("one", "two", "two")]
    assert told == [0, 128, 128]


def test_another_beginning_another_model_and_too_few_tokens_are_not_cached() -> None:
    with SimulatedModel(SimulatorSettings(prompt_cache_tokens=64)) as server:
        usage(server, RULES)
        for content, model in ((f"One. {RULES}", "m"), (RULES, "other"), (RULES[:200], "m")):
            assert usage(server, content, model)["prompt_tokens_details"]["cached_tokens"] == 0


def test_parts_of_a_prompt_read_like_the_whole() -> None:
    with SimulatedModel(SimulatorSettings(prompt_cache_tokens=64)) as server:
        usage(server, f"{RULES}one")
        parts = [{"type": "text", "text": RULES, "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "one"}]
        assert usage(server, parts)["prompt_tokens_details"]["cached_tokens"] == 128


def test_nothing_is_told_unless_it_is_set() -> None:
    with SimulatedModel(SimulatorSettings()) as server:
        assert "prompt_tokens_details" not in usage(server, RULES)
