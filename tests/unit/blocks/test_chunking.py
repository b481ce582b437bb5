"""Documents cut into chunks that are not too long, with nothing lost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.blocks.chunking import ChunkText
from sdg_prefect.testing import BlockResult, run_block

TEXT = "\n\n".join(f"Paragraph {number} says that bees dance. It says so twice, since it is true." for number in range(30))


def cut(text: Any, **config: Any) -> BlockResult:
    given = {"block_name": "c", "input_col": "text", "output_col": "chunk", **config}
    return run_block(ChunkText.model_validate(given), [{"text": text}])


def chunks(text: Any, **config: Any) -> list[str]:
    return [row["chunk"] for row in cut(text, **config).rows]


@settings(max_examples=15)
@given(st.integers(5, 200))
def test_no_chunk_is_longer_than_asked_for_and_no_word_is_lost(size: int) -> None:
    found = chunks(TEXT, size=size, unit="characters")
    assert max(map(len, found)) <= size
    assert "".join("".join(found).split()) == "".join(TEXT.split())


def test_tokens_are_counted_and_cuts_are_between_paragraphs() -> None:
    found = chunks(TEXT, size=40)
    assert len(found) == 15
    assert all(chunk.startswith("Paragraph") and chunk.endswith("true.") for chunk in found)


def test_chunks_may_overlap_and_be_shorter() -> None:
    first, second, *_ = chunks(TEXT, size=40, overlap=20)
    assert second.split("\n\n")[0] in first
    assert len(chunks(TEXT, size=100, least=15)) > len(chunks(TEXT, size=100))


def test_headings_of_markdown_begin_chunks() -> None:
    text = "# Bees\n\nThey dance and they sing all day.\n\n# Cows\n\nThey stand and look at the trains."
    assert [chunk.split("\n")[0] for chunk in chunks(text, size=14, form="markdown")] == ["# Bees", "# Cows"]


def test_chunks_are_numbered_and_a_row_without_text_is_rejected() -> None:
    made = cut(TEXT, size=40, number_col="n")
    assert [row["n"] for row in made.rows] == list(range(1, 16))
    assert len(set(made.ids)) == 15
    assert [cut(text).rejects[0].error for text in (None, "", " \n")] == ["NoText"] * 3


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValidationError, match="'least' is above 'size'"):
        cut("", size=5, least=6)
    with pytest.raises(ValidationError, match="'overlap' has to be below"):
        cut("", size=5, overlap=5)
    with pytest.raises(ValidationError, match=r"'none\.json' does not exist"):
        cut("", tokenizer="none.json")
