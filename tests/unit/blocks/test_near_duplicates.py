"""Texts that are nearly equal: found, and nothing else, against planted ones and against all pairs."""

from __future__ import annotations

import random
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.blocks.minhash import Groups, NearRepeats, Pieces, bands_for
from sdg_prefect.blocks.near_duplicates import DropNearDuplicates
from sdg_prefect.testing import run_block

WORDS = [f"{'bcdfghklmnprst'[number % 14]}{'aeiou'[number % 5]}{number}" for number in range(3000)]


def kept(texts: list[Any], **config: Any) -> list[int]:
    block = DropNearDuplicates.model_validate({"block_name": "d", "columns": ["text"], **config})
    made = run_block(block, [{"n": number, "text": text} for number, text in enumerate(texts)])
    assert made.counts.deduplicated == len(texts) - len(made.rows)
    return [row["n"] for row in made.rows]


def runs_of(text: str, size: int) -> set[str]:
    return {text[start : start + size] for start in range(max(1, len(text) - size + 1))} if text else set()


def jaccard(one: str, other: str, size: int = 5) -> float:
    left, right = runs_of(one, size), runs_of(other, size)
    return len(left & right) / len(left | right) if left | right else 1.0


def planted(count: int, seed: int) -> tuple[list[str], list[int]]:
    """Return texts of 20 words, one in five of them an earlier one with a word changed, and the places of those."""
    chance = random.Random(seed)
    texts: list[str] = []
    repeats: list[int] = []
    for place in range(count):
        if place > 50 and place % 5 == 0:
            words = texts[chance.choice([one for one in range(place) if one % 5])].split()
            words[chance.randrange(20)] = "zebra"
            repeats.append(place)
        else:
            words = chance.choices(WORDS, k=20)
        texts.append(" ".join(words))
    return texts, repeats


def test_planted_near_duplicates_are_found_with_full_precision_and_nearly_full_recall() -> None:
    texts, repeats = planted(3000, seed=2)
    dropped = sorted(set(range(len(texts))) - set(kept(texts, similarity=0.7)))
    assert set(dropped) <= set(repeats)
    assert len(dropped) / len(repeats) > 0.99


def test_what_is_dropped_is_what_comparing_all_pairs_would_drop() -> None:
    texts, _ = planted(300, seed=3)
    groups = Groups(len(texts))
    for one, other in combinations(range(len(texts)), 2):
        if jaccard(texts[one], texts[other]) >= 0.8:
            groups.join(np.array([one]), np.array([other]))
    expected = [place for place, first in enumerate(groups.firsts().tolist()) if first == place]
    assert kept(texts, similarity=0.8) == expected


@pytest.mark.parametrize(("unit", "size"), [("characters", 5), ("words", 2)])
def test_case_punctuation_and_space_are_no_matter(unit: str, size: int) -> None:
    texts = ["Why do bees dance?", "  why — do BEES\ndance", "Why do bees dance in spring and never in winter?"]
    assert kept(texts, unit=unit, size=size, similarity=1) == [0, 2]


def test_nulls_and_empty_texts_are_equal_and_short_ones_differ() -> None:
    assert kept([None, "", " ! ", "a", "b", "a", "ab"]) == [0, 3, 4, 6]
    assert kept(["a b", "a c", "a b"], unit="words", size=3) == [0, 1]


def test_columns_are_compared_together() -> None:
    block = DropNearDuplicates(block_name="d", columns=("q", "a"))
    rows = [{"q": "why do bees dance", "a": "for food"}, {"q": "why do bees dance", "a": "nobody knows at all"}]
    assert len(run_block(block, rows).rows) == 2


def test_a_chain_of_near_duplicates_is_one_group() -> None:
    words = [f"word{number}" for number in range(40)]
    chain = [" ".join([*(f"new{place}" for place in range(step)), *words[step:]]) for step in range(0, 12, 2)]
    assert jaccard(chain[0], chain[-1]) < 0.8 < jaccard(chain[0], chain[1])
    assert kept(chain) == [0]


@settings(max_examples=20)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=12))
def test_equal_texts_are_never_kept_twice_and_the_first_always_is(texts: list[str]) -> None:
    found = kept([*texts, *texts])
    assert found[0] == 0
    assert all(place < len(texts) for place in found)


@given(st.lists(st.text("ab c", max_size=8), max_size=6), st.integers(1, 4))
def test_pieces_of_many_texts_are_those_of_each(texts: list[str], size: int) -> None:
    pieces = Pieces("characters", size)
    hashes, ends = pieces.hashes(texts)
    for number, text in enumerate(texts):
        alone, _ = pieces.hashes([text])
        assert hashes[int(ends[number]) : int(ends[number + 1])].tolist() == alone.tolist()


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.9, 1.0])
def test_bands_make_candidates_of_nearly_all_pairs_that_are_similar_enough(similarity: float) -> None:
    bands, rows = bands_for(similarity, 128)
    assert bands * rows <= 128
    assert 1 - (1 - similarity**rows) ** bands >= 0.998


def test_parts_of_any_size_give_the_same_groups() -> None:
    texts, _ = planted(120, seed=4)
    found = []
    for size in (120, 7):
        repeats = NearRepeats(len(texts), Pieces("characters", 5), 0.7, 128)
        for start in range(0, len(texts), size):
            repeats.add(texts[start : start + size])
        found.append(repeats.firsts(lambda places: [texts[place] for place in places]).tolist())
    assert found[0] == found[1]
