"""Log-probabilities of the tokens of a reply, in the shapes of both endpoints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sdg_prefect.simulator.chance import draw
from sdg_prefect.simulator.wording import split_tokens

_RIVALS = {
    "yes": "no",
    "no": "yes",
    "true": "false",
    "false": "true",
    "a": "b",
    "b": "a",
    "good": "bad",
    "bad": "good",
}
_FILLERS = tuple("the a of and to in is it that for as on with by or an this be are at from not".split())


def chat_logprobs(text: str, top: int) -> dict[str, Any]:
    """Return the `logprobs` of a chat choice."""
    content = []
    for token, ranked in _ranked_tokens(text, top):
        entries = [{"token": word, "logprob": score, "bytes": list(word.encode())} for word, score in ranked]
        content.append({**entries[0], "top_logprobs": entries[:top], "token": token})
    return {"content": content, "refusal": None}


def text_logprobs(text: str, top: int) -> dict[str, Any]:
    """Return the `logprobs` of a text completion."""
    tokens, scores, tops, offsets = [], [], [], []
    place = 0
    for token, ranked in _ranked_tokens(text, top):
        tokens.append(token)
        scores.append(ranked[0][1])
        tops.append(dict(ranked[: max(top, 1)]))
        offsets.append(place)
        place += len(token)
    return {"tokens": tokens, "token_logprobs": scores, "top_logprobs": tops, "text_offset": offsets}


def _ranked_tokens(text: str, top: int) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """Yield each token with the candidates for its place, the chosen one first."""
    for place, token in enumerate(split_tokens(text)):
        share = 0.55 + 0.44 * draw(text, place)
        ranked = [(token, round(math.log(share), 6))]
        left = 1.0 - share
        for rival in _rivals(token)[: max(0, top - 1)]:
            ranked.append((rival, round(math.log(left * 0.6), 6)))
            left *= 0.4
        yield token, ranked


def _rivals(token: str) -> list[str]:
    """Return tokens that could have stood in this place, the likeliest first."""
    word = token.strip()
    space = token[: len(token) - len(token.lstrip())]
    if word.isdigit() and len(word) == 1:
        rivals = sorted(
            (str(digit) for digit in range(10) if str(digit) != word),
            key=lambda one: abs(int(one) - int(word)),
        )
    else:
        rivals = []
        if rival := _RIVALS.get(word.lower()):
            rivals.append(rival.upper() if word.isupper() else rival.capitalize() if word.istitle() else rival)
    return [space + rival for rival in (*rivals, *_FILLERS) if rival != word]
