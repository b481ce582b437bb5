"""Rows that have texts of evaluation sets in them are left out."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.contamination import DropContaminated
from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.errors import FlowError
from sdg_prefect.testing import run_block

WORDS = [f"word{number}" for number in range(5000)]


def block(folder: Path, **config: Any) -> DropContaminated:
    given = {"block_name": "clean", "columns": ["text"], "against": ["exam.jsonl"], **config}
    return DropContaminated.model_validate(given, context=FlowFiles(folder))


def kept(folder: Path, texts: list[Any], **config: Any) -> list[int]:
    made = run_block(block(folder, **config), [{"n": number, "text": text} for number, text in enumerate(texts)])
    assert made.counts.filtered == len(texts) - len(made.rows)
    return [row["n"] for row in made.rows]


def exam(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "exam.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_planted_overlaps_are_found_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(5)
    questions = [chance.choices(WORDS, k=40) for _ in range(200)]
    exam(tmp_path, *({"question": " ".join(question)} for question in questions))
    texts, expected = [], []
    for number in range(1000):
        words = chance.choices(WORDS, k=120)
        if number % 4 == 0:
            start = chance.randrange(27)
            # 13 words of a question are an overlap, 12 are not.
            length = 13 if number % 8 == 0 else 12
            words[50:50] = chance.choice(questions)[start : start + length]
        if number % 8:
            expected.append(number)
        texts.append(" ".join(words))
    assert kept(tmp_path, texts) == expected


def test_case_punctuation_and_forms_of_letters_do_not_hide_an_overlap(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "Ｗhy do Straße and the café stand where, in all of the town, nobody walks?"})
    hidden = "… WHY do STRASSE and the cafe\u0301: stand — where in all of the TOWN nobody walks"
    assert kept(tmp_path, [hidden, "Why do bees dance?"]) == [1]


def test_short_texts_of_an_evaluation_set_are_looked_for_as_a_whole(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "How many legs has a bee?", "a": "six"})
    assert kept(tmp_path, ["So: how many legs has a bee today", "how many legs has a cow", "six"]) == [1, 2]
    assert kept(tmp_path, ["how many legs has a bee", "six of them"], shortest=1) == []


def test_columns_of_the_evaluation_set_can_be_chosen_and_may_be_nested(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "one two three four five", "choices": ["six seven eight nine ten"]})
    texts = ["one two three four five", "six seven eight nine ten"]
    assert kept(tmp_path, texts) == []
    assert kept(tmp_path, texts, against_columns=["choices"]) == [0]
    with pytest.raises(FlowError, match=r"no column 'choice'\. Did you mean 'choices'"):
        kept(tmp_path, texts, against_columns=["choice"])


def test_a_share_of_the_text_can_be_asked_for(tmp_path: Path) -> None:
    exam(tmp_path, {"q": " ".join(WORDS[:20])})
    mostly, hardly = " ".join(WORDS[:30]), " ".join(WORDS[5:100])
    assert kept(tmp_path, [mostly, hardly]) == []
    assert kept(tmp_path, [mostly, hardly], share=0.3) == [1]


def test_rows_can_be_marked_instead_of_left_out(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "one two three four five"})
    made = run_block(block(tmp_path, mark="seen"), [{"text": "one two three four five"}, {"text": None}])
    assert [row["seen"] for row in made.rows] == [True, False]


def test_texts_in_lists_and_messages_and_lines_of_a_text_file_count(tmp_path: Path) -> None:
    (tmp_path / "exam.txt").write_text("eins zwei drei vier fünf\n\n")
    rows = [
        {"text": [{"role": "user", "content": "Sag: eins zwei drei vier fünf!"}]},
        {"text": [{"role": "user", "content": "Sag nichts"}]},
    ]
    made = run_block(block(tmp_path, against=["exam.txt"]), rows)
    assert made.rows == rows[1:]


def test_letters_of_scripts_without_spaces_are_words(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "蜜蜂为什么要在蜂巢里跳舞呢"})
    assert kept(tmp_path, ["请问蜜蜂为什么要在蜂巢里跳舞呢？", "蜜蜂采花蜜"]) == [1]


def test_the_content_of_the_evaluation_set_is_in_the_key_and_its_name_is_not(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "one two three four five"})
    (tmp_path / "copy.jsonl").write_bytes((tmp_path / "exam.jsonl").read_bytes())
    first = block(tmp_path).key({})
    assert block(tmp_path, against=["copy.jsonl"]).key({}) == first
    exam(tmp_path, {"q": "one two three four six"})
    assert block(tmp_path).key({}) != first


def test_what_cannot_be_compared_with_is_told(tmp_path: Path) -> None:
    exam(tmp_path, {"q": "short"})
    clean = block(tmp_path)
    with pytest.raises(FlowError, match="has no text of 5 words or more"):
        run_block(clean, [{"text": "x"}])
    exam(tmp_path, {"q": "something else"})
    with pytest.raises(FlowError, match="was changed after the flow was read"):
        run_block(block(tmp_path).model_copy(update={"against": clean.against}), [{"text": "x"}])
    with pytest.raises(ValidationError, match=r"'exam\.json' does not exist\. Did you mean 'exam\.jsonl'"):
        block(tmp_path, against=["exam.json"])
    (tmp_path / "exam.bin").write_bytes(b"")
    with pytest.raises(ValidationError, match="is no file of rows"):
        block(tmp_path, against=["exam.bin"])
