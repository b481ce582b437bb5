"""Embeddings of the simulated model: texts with the same words lie near each other, others far apart."""

from __future__ import annotations

import base64
import math
import re
import struct
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from typing import Any

from sdg_prefect.simulator.errors import bad_request

_WORD = re.compile(r"\w+")
DIMENSIONS = 256
"""Numbers of a vector, where the request does not say."""
_MOST_DIMENSIONS = 4096


def embed(text: str, dimensions: int) -> list[float]:
    """Return the vector of length 1 of a text: the sum of a direction for each word, and a smaller one for each pair of words.

    It depends on the words alone, so that their case and what stands between them is no matter.
    """
    words = [word.lower() for word in _WORD.findall(text)]
    vector = [0.0] * dimensions
    for weight, pieces in ((1.0, words), (0.5, [f"{one} {other}" for one, other in pairwise(words)])):
        for piece in pieces:
            for place, number in _direction(piece, dimensions):
                vector[place] += weight * number
    length = math.sqrt(sum(number * number for number in vector))
    return [number / length for number in vector] if length else [1.0, *[0.0] * (dimensions - 1)]


@lru_cache(maxsize=65_536)
def _direction(piece: str, dimensions: int) -> tuple[tuple[int, float], ...]:
    """Return a few places of a vector with their signs, fixed by a word: few words share more than one."""
    digest = blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=32).digest()
    return tuple(
        (int.from_bytes(digest[at : at + 3], "big") % dimensions, 1.0 if digest[at + 3] & 1 else -1.0) for at in range(0, 32, 4)
    )


def embeddings_body(body: dict[str, Any], texts: list[str], tokens: int) -> dict[str, Any]:
    """Return the reply to a request for embeddings.

    Raises:
        ApiError: It asks for too many dimensions, or for none.
    """
    dimensions = body.get("dimensions") or DIMENSIONS
    if not isinstance(dimensions, int) or not 1 <= dimensions <= _MOST_DIMENSIONS:
        raise bad_request(f"'dimensions' must be a number from 1 to {_MOST_DIMENSIONS}", "dimensions")
    vectors: list[Any] = [embed(text, dimensions) for text in texts]
    if body.get("encoding_format") == "base64":
        vectors = [base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() for vector in vectors]
    return {
        "object": "list",
        "model": str(body.get("model")),
        "data": [{"object": "embedding", "index": place, "embedding": vector} for place, vector in enumerate(vectors)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
