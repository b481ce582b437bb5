"""The package's own tests: no Prefect, no server, no model."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from shop_reviews.blocks import ReadingEase
from shop_reviews.replies import Review

from sdg_prefect.testing import check_example, run_block


def test_the_block_keeps_to_the_standards() -> None:
    assert check_example(ReadingEase) == []


def test_short_words_are_easier_than_long_ones() -> None:
    block = ReadingEase(block_name="ease", column="text")
    texts = ["We buy bread here.", "Unquestionably satisfactory merchandise."]
    easy, hard = (row["reading_ease"] for row in run_block(block, [{"text": text} for text in texts]).rows)
    assert easy > 90 > hard


def test_five_stars_have_a_reason() -> None:
    with pytest.raises(ValidationError, match="something that was liked"):
        Review(title="Fine", review="Fine.", stars=5, liked=[])
