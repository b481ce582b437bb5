"""Embeddings of the simulated model, asked over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from sdg_prefect.models.vectors import read_vectors, unpack
from sdg_prefect.simulator import SimulatedModel
from sdg_prefect.simulator.embedding import embed


def cosine(one: str, other: str) -> float:
    return float(np.dot(embed(one, 256), embed(other, 256)))


def test_texts_with_the_same_words_are_near_and_others_far() -> None:
    text = "Bees dance in their hive to tell the others where food is"
    assert cosine(text, "bees DANCE, in their hive: to tell the others where food is!") > 0.9
    assert 0.6 < cosine(text, "Bees dance in the hive to tell all others where water is") < 0.95
    assert abs(cosine(text, "Seven lanterns hang above an old stone bridge")) < 0.3
    assert np.linalg.norm(embed(text, 256)) == pytest.approx(1)
    assert embed("", 3) == [1, 0, 0]


def test_the_endpoint_speaks_the_protocol() -> None:
    with SimulatedModel() as model:
        ask: dict[str, Any] = {"model": "embedder", "input": ["one", "two"], "dimensions": 8}
        plain = httpx.post(f"{model.url}/embeddings", json=ask).json()
        packed = httpx.post(f"{model.url}/embeddings", json={**ask, "encoding_format": "base64"}).json()
        alone = httpx.post(f"{model.url}/embeddings", json={"model": "embedder", "input": "one"}).json()
        refused = httpx.post(f"{model.url}/embeddings", json={**ask, "dimensions": 0.5})
        assert model.stats()["calls"] == 4
    assert read_vectors(plain) == read_vectors(packed)
    assert unpack(read_vectors(plain)[0]).tolist() == pytest.approx(embed("one", 8))
    assert len(alone["data"][0]["embedding"]) == 256
    assert plain["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert refused.status_code == 400
