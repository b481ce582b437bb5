"""The card of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from sdg_prefect.report.card import CardFields, card_text
from tests.unit.report.told import told


@dataclass(frozen=True)
class Written:
    name: str
    rows: int


def card(fields: CardFields | None = None, *, is_known: bool = True, **changed: Any) -> tuple[dict[str, Any], str]:
    """Write a card; return its head and the text below."""
    run = told(**changed)
    made = (run.report, run.manifest) if is_known else ({}, {})
    splits = [Written("train", 4), Written("test", 1)]
    text = card_text(
        fields or CardFields("Small", "apache-2.0", ("en",), ("qa",), "our own, CC0"), splits, run.figures["profile"], *made
    )
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_head_is_what_the_hub_reads() -> None:
    head, _ = card()
    assert head["license"] == "apache-2.0"
    assert head["language"] == ["en"]
    assert head["size_categories"] == ["n<1K"]
    assert head["tags"] == ["synthetic", "sdg_prefect", "qa"]
    assert head["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*"},
        {"split": "test", "path": "data/test-*"},
    ]


def test_the_card_tells_how_the_rows_were_made_and_what_is_known_of_them() -> None:
    gate = {"kind": "length", "block": "", "action": "warn", "holds": False, "measured": 0.5, "says": "half are short", "rows": 1}
    _, body = card(gates=[gate])
    for said in (
        "flowchart TD",
        "| ask | LLMBlock | teacher |",
        "20 seeds went in",
        "| length | no | half are short |",
        "our own, CC0",
        "Not as expected: length",
    ):
        assert said in body
    assert "| train | 4 |" in body
    assert "Labels of label: b 60.0%, a 40.0%" in body


def test_rows_of_unknown_origin_say_so() -> None:
    _, body = card(CardFields("Rows"), is_known=False)
    assert "How the rows were made is not recorded here." in body
    assert "of this dataset | not said" in body


def test_no_text_of_a_flow_breaks_the_tables() -> None:
    _, plain = card()
    _, body = card(CardFields("A | B <script>\n# c", "x | y"), text="a|b\n<img>")
    assert "<script" not in body
    assert "<img" not in body
    assert sum(line.startswith("| ") for line in body.splitlines()) == sum(line.startswith("| ") for line in plain.splitlines())
