"""What models, servers and rows write is inert: in pages, in Markdown, on a terminal."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from sdg_prefect.cli.console import say
from sdg_prefect.counts import Counts
from sdg_prefect.report.card import CardFields, card_text
from sdg_prefect.report.funnel import bars, reasons
from sdg_prefect.report.inert import fenced, in_markdown, in_page, plain
from sdg_prefect.report.rendering import report_markdown, stored_report_text
from sdg_prefect.report.run_report import BlockTally, RunReport
from tests.unit.report.test_page import HOSTILE, Elements, pages
from tests.unit.report.told import told

TERMINAL = [
    "\x1b[2J\x1b[H",
    "\x1b]0;a title\x07",
    "\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1bP+q544e\x1b\\",
    "\x1b[6n",
    "\x1b[?1049h",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\r\x1b[Kall is fine",
    "abc\b\b\bxyz",
    "\x00\x07\x7f\x0e\x0f",
    "\u202egnp.exe",
    "\u2066a\u2069\u2067b",
    "\u200e\u200f\u061c",
    "\ud800",
    "\U000e0041\U000e0042",
    "[bold red]text[/] [link=http://evil]x[/link]",
]
MARKDOWN = [
    "![x](http://evil/pixel.png)",
    "[click](javascript:alert(1))",
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "a | b | c",
    "```\n# out of the fence",
    "`code` and ``more``",
    "x\n\n# a heading\n\n| a | table |\n|---|---|",
    "[ref]: http://evil",
    "<http://evil>",
    "a\\|b",
    "~~~\nx",
    "---\nlicense: mit\n---",
]
EVERY = [*HOSTILE, *TERMINAL, *MARKDOWN]

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LIVE = re.compile(r"(?<!\\)[`\[\]]|<(?!/?br)")


def _report(text: str) -> RunReport:
    tally = BlockTally(text, Counts(rows_in=1, rows_out=1, gave_rows=1), 1.0, 1)
    gate = {"kind": "label_balance", "block": text, "holds": False, "says": text, "action": "warn", "measured": 1, "rows": 0}
    return RunReport(
        flow="flow", run_id="run", status="failed", blocks=(tally,), rows_in=1, rows_out=1, seconds=1.0, storage="store",
        output=None, error=text, warnings=[text], gates=[gate],
    )  # fmt: skip


@pytest.mark.parametrize("text", TERMINAL)
def test_a_terminal_obeys_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(text)
    shown = capsys.readouterr().err
    assert not _STEERING.search(shown)
    assert shown.endswith("\n")
    assert ("[bold red]" in shown) == ("[bold red]" in text)


def test_markdown_of_a_run_has_no_markup_but_ours(tried: Callable[[str, int], None]) -> None:
    for text in EVERY:
        for made in (report_markdown(_report(text)), "\n".join(bars(1, {text: 1})), "\n".join(reasons({(text, text): 1}, 3))):
            assert not _STEERING.search(made), text
            ours = re.sub(r"`(store|run|[█▏▎▍▌▋▊▉░]+)`", "", made)
            assert not _LIVE.search(ours), (text, ours)
        # Cells stay cells: each line of a table has as many as its head.
        table = [line for line in report_markdown(_report(text)).splitlines() if line.startswith("|")]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert len(widths) == 2, (text, table)
    tried("texts as names, errors and labels in Markdown", len(EVERY))


def test_a_fence_holds_whatever_is_in_it() -> None:
    for text in EVERY:
        first, *lines, last = fenced(text).splitlines()
        assert first == f"{last}text"
        assert not any(line.strip().startswith(last) for line in lines)


def test_the_card_of_a_dataset_has_no_markup_of_its_rows(tried: Callable[[str, int], None]) -> None:
    for text in EVERY:
        known = told(text=text)
        profile = known.figures["profile"].to_json() if hasattr(known.figures["profile"], "to_json") else known.figures["profile"]
        for column in profile["columns"]:
            column["labels"] = {text: 3}
        card = card_text(CardFields(text, "mit"), [], profile, known.report, known.manifest)
        head, _, body = card.removeprefix("---\n").partition("\n---\n")
        assert not _STEERING.search(card), text
        assert "license: mit" in head
        for mark in ("<script", "<img", "![x]", "[click]", "<http"):
            assert mark not in body, text
    tried("texts in the card of a dataset", len(EVERY))


def test_pages_show_what_turns_a_text_round() -> None:
    for text in EVERY:
        for page in pages(text):
            assert not _STEERING.search(re.sub("[\r\u200e\u200f]", "", page)), text
            assert not {"script", "img", "iframe", "base", "object"} & Elements(page).names
    assert in_page("a\u202eb") == "a\\u202eb"


def test_lines_about_a_run_are_plain() -> None:
    for text in EVERY:
        assert not _STEERING.search(plain(stored_report_text(_report(text).to_json())))
        assert "\n" not in in_markdown(text)
