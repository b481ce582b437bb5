"""The language of a text, and leaving out others."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.language import DetectLanguage
from sdg_prefect.testing import BlockResult, run_block

TEXTS = {
    "en": "The bees dance in order to tell the others where there is something to eat.",
    "de": "Die Bienen tanzen, um den anderen zu sagen, wo es etwas zu fressen gibt.",
    "fr": "Les abeilles dansent pour dire aux autres où il y a quelque chose à manger.",
    "es": "Las abejas bailan para decirles a las demás dónde hay algo que comer.",
    "ja": "ミツバチは食べ物がある場所を仲間に知らせるために踊ります。",
    "ru": "Пчёлы танцуют, чтобы рассказать другим, где есть еда.",
}


def detected(texts: list[Any], **config: Any) -> BlockResult:
    return run_block(
        DetectLanguage.model_validate({"block_name": "l", "column": "text", **config}), [{"text": text} for text in texts]
    )


def test_languages_are_told_apart() -> None:
    made = detected(list(TEXTS.values()), confidence_col="sure")
    assert [row["language"] for row in made.rows] == list(TEXTS)
    assert all(0.5 < row["sure"] <= 1 for row in made.rows)


def test_a_text_without_a_letter_has_no_language() -> None:
    assert [row["language"] for row in detected([None, "", "12 + 30", "🦜"]).rows] == [None] * 4


def test_other_languages_are_left_out() -> None:
    made = detected([*TEXTS.values(), None], keep=["de", "fr"])
    assert [row["language"] for row in made.rows] == ["de", "fr"]
    assert made.counts.filtered == 5
    assert detected([TEXTS["de"]], keep=["de"], least_confidence=1.0).rows == [] or detected([TEXTS["de"]]).rows


def test_the_choice_can_be_among_few_languages() -> None:
    assert [row["language"] for row in detected(["ja gut"], among=["de", "en"]).rows] == ["de"]
    with pytest.raises(ValidationError, match="two languages at least"):
        detected([], among=["de"])


@pytest.mark.parametrize("library", ["py3langid", "lingua"])
def test_a_language_that_the_library_does_not_know_is_told_before_a_run(library: str) -> None:
    pytest.importorskip(library)
    with pytest.raises(ValidationError, match=f"{library} does not know the language 'xx'"):
        detected([], among=["de", "xx"], library=library)


def test_lingua_tells_short_texts_apart() -> None:
    pytest.importorskip("lingua")
    made = detected([*TEXTS.values(), "12 + 30"], library="lingua", confidence_col="sure", among=sorted(TEXTS))
    assert [row["language"] for row in made.rows] == [*TEXTS, None]
    assert all(0.5 < row["sure"] <= 1 for row in made.rows[:-1])


def test_fields_without_effect_raise_a_doubt() -> None:
    block = DetectLanguage(block_name="l", column="t", least_confidence=0.5, among=("de", "en"))
    assert "without 'keep'" in " ".join(block.doubts(Columns()))
    block = DetectLanguage(block_name="l", column="t", keep=("fr",), among=("de", "en"))
    assert "names fr, which 'among' rules out" in " ".join(block.doubts(Columns()))
