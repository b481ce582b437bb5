"""Scores of a simulated process-reward model."""

from __future__ import annotations

from typing import Any

from sdg_prefect.simulator.chance import draw
from sdg_prefect.simulator.errors import bad_request
from sdg_prefect.simulator.wording import text_of


def pooled_texts(body: dict[str, Any]) -> list[str]:
    """Return the texts a pooling request wants scored."""
    messages, given = body.get("messages"), body.get("input")
    if isinstance(messages, list) and messages and all(isinstance(one, dict) for one in messages):
        return ["\n".join(text_of(message.get("content")) for message in messages)]
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return list(given)
    raise bad_request("'messages' or 'input' must hold the text to score", "messages")


def step_scores(text: str, body: dict[str, Any], fill_token: str) -> list[list[float]]:
    """Return a pair of shares, bad and good, for each step of a text.

    Args:
        text: What is scored.
        body: The request, whose replies are the steps where the text marks none.
        fill_token: Marks the end of a step.
    """
    steps = text.split(fill_token)
    if len(steps) == 1:
        replies = [one for one in body.get("messages") or () if one.get("role") == "assistant"]
        steps = [text_of(one.get("content")) for one in replies] or [text]
    else:
        steps = steps[:-1]
    good = [round(0.5 + 0.49 * draw(step, place) - 0.45 * (draw(step) > 0.85), 6) for place, step in enumerate(steps)]
    return [[round(1.0 - share, 6), share] for share in good]
