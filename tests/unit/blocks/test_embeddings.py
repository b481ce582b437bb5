"""Embeddings, and rows that lie too near to each other."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.blocks.embeddings import DropSimilar, EmbedText
from sdg_prefect.models.completion import Failure
from sdg_prefect.models.vectors import pack, read_vectors, unpack
from sdg_prefect.simulator.embedding import embed
from sdg_prefect.testing import BlockResult, run_block

EMBED = EmbedText(block_name="e", model_id="m", input_col="text", output_col="vector", prefix="query: ", dimensions=2)


def dropped(vectors: list[Any], **config: Any) -> BlockResult:
    block = DropSimilar.model_validate({"block_name": "d", "vector_col": "vector", **config})
    return run_block(block, [{"n": number, "vector": vector} for number, vector in enumerate(vectors)])


def kept(vectors: list[Any], **config: Any) -> list[int]:
    return [row["n"] for row in dropped(vectors, **config).rows]


def test_each_text_is_sent_with_its_prefix_and_comes_back_as_numbers() -> None:
    made = run_block(EMBED, [{"text": "bees"}], lambda _: pack([1, 2.5]))
    assert made.rows == [{"text": "bees", "vector": [1.0, 2.5]}]
    (request,) = made.requests
    assert (request.text, request.route, dict(request.params)) == ("query: bees", "embeddings", {"dimensions": 2})


def test_rows_without_text_and_broken_vectors_are_rejected() -> None:
    made = run_block(
        EMBED,
        [{"text": text} for text in (None, " ", "broken", "gone")],
        {"broken": "?", "gone": Failure("OverLong", "no", False)},
    )
    assert [reject.error for reject in made.rejects] == ["NoText", "NoText", "BrokenVector", "OverLong"]
    assert len(made.requests) == 2


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_a_vector_is_the_same_after_it_was_packed(vector: list[float]) -> None:
    assert unpack(pack(vector)).tolist() == vector
    assert pack(pack(vector)) == pack(vector)


def test_vectors_of_a_reply_come_in_the_order_of_the_texts() -> None:
    reply = {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": pack([1.0])}]}
    assert read_vectors(reply) == (pack([1.0]), pack([2.0]))
    broken: list[Any] = [
        {},
        {"data": []},
        {"data": [{"embedding": None}]},
        {"data": [{"embedding": []}]},
        {"data": [{"embedding": ["x"]}]},
        {"data": [{"embedding": [float("nan")]}]},
    ]
    for wrong in broken:
        with pytest.raises(ValueError, match=r"embedding|vector"):
            read_vectors(wrong)


def test_the_first_of_near_rows_is_kept() -> None:
    assert kept([[1, 0], [0.99, 0.01], [0, 1], [1, 0], [0.01, 5]], similarity=0.95) == [0, 2]


def test_a_row_is_compared_with_kept_rows_only() -> None:
    by_degrees = [[np.cos(angle), np.sin(angle)] for angle in np.radians([0, 15, 30, 45])]
    assert kept(by_degrees, similarity=float(np.cos(np.radians(20)))) == [0, 2]


@pytest.mark.parametrize("wrong", ["text", 7, ["a"], {"x": 1.0}])
def test_what_is_no_embedding_is_rejected(wrong: Any) -> None:
    made = run_block(DropSimilar(block_name="b", vector_col="v"), [{"v": wrong}, {"v": None}])
    assert (made.rows, [reject.error for reject in made.rejects]) == ([{"v": None}], ["NoEmbedding"])


def test_rows_without_a_direction_are_kept_and_those_of_another_length_rejected() -> None:
    made = dropped([[1, 0], None, [], [0, 0], [float("nan"), 1], [1, 0, 0], [1, 0]])
    assert [row["n"] for row in made.rows] == [0, 1, 2, 3, 4]
    assert [(reject.error, reject.row["n"]) for reject in made.rejects] == [("WrongLength", 5)]
    assert made.counts.deduplicated == 1
    assert kept([None, None]) == [0, 1]


@settings(max_examples=10)
@given(st.lists(st.sampled_from([(1.0, 0.0), (0.0, 1.0), (0.7, 0.7), (-1.0, 0.1)]), min_size=1, max_size=12))
def test_equal_vectors_are_kept_once(vectors: list[tuple[float, float]]) -> None:
    assert kept([list(vector) for vector in vectors], similarity=0.999) == [
        vectors.index(vector) for vector in dict.fromkeys(vectors)
    ]


@pytest.mark.parametrize("index", ["exact", "usearch"])
def test_planted_near_duplicates_are_found_and_nothing_else(index: str) -> None:
    chance = random.Random(3)
    words = [f"word{number}" for number in range(400)]
    originals = [chance.choices(words, k=30) for _ in range(600)]
    planted = {place: [*originals[place][:29], "another"] for place in chance.sample(range(600), 100)}
    texts = [*originals, *planted.values()]
    found = kept([embed(" ".join(text), 64) for text in texts], similarity=0.9, index=index)
    assert [place for place in found if place < 600] == list(range(600))
    missed = [place for place in found if place >= 600]
    assert len(missed) <= (0 if index == "exact" else 2)


def test_more_rows_than_are_compared_at_one_time() -> None:
    vectors = np.random.default_rng(1).normal(size=(2500, 16)).tolist()
    assert kept([*vectors, *vectors[::-1]], similarity=0.999) == list(range(2500))
