"""The report as a page: complete, well formed, small, and inert whatever models and rows say."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from sdg_prefect.report.comparison import compare, comparison_page
from sdg_prefect.report.page import report_page
from tests.unit.report.told import told

HOSTILE = [
    "<script>alert(1)</script>",
    "</pre></details><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "<!-- <base href=//evil>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "<iframe srcdoc='<script>1</script>'>",
    "\x00\x1b[31m\ud800\u202e<b>",
    "&lt;script&gt; &amp;",
]
GATE: dict[str, Any] = {"kind": "length", "block": "", "action": "fail", "holds": False, "measured": 0.5, "says": "", "rows": 3}
_VOID = {"meta", "link", "br", "img", "input", "hr"}


class Elements(HTMLParser):
    """Reads a page, and notes its elements, their attributes, and whether each that begins ends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    @property
    def names(self) -> set[str]:
        """The names of all elements."""
        return {tag for tag, _ in self.found}


def pages(text: str) -> list[str]:
    """Make the pages of runs in which every text is the same one."""
    one = told(text=text, error=text, warnings=[text], gates=[{**GATE, "says": text, "block": text}], output=text, flow=text)
    other = told(text=f"{text}\nanother", run_id="20260102-000000-bbbbbb")
    return [report_page(one.report, one.figures, one.manifest), comparison_page(compare(one, other))]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_models_and_rows_say_is_shown_and_never_obeyed(text: str) -> None:
    plain = [Elements(page) for page in pages("harmless")]
    for page, harmless in zip(pages(text), plain, strict=True):
        elements = Elements(page)
        assert [tag for tag, _ in elements.found if tag != "li"] == [tag for tag, _ in harmless.found if tag != "li"]
        assert not elements.unbalanced
        attributes = {name for _, attrs in elements.found for name in attrs}
        assert attributes == {name for _, attrs in harmless.found for name in attrs}
        assert not any(name.startswith("on") for name in attributes)
        assert not any(char in page for char in "\x00\x1b\x7f")
        page.encode()


def test_a_page_asks_for_nothing_and_runs_nothing() -> None:
    for page in pages("text"):
        elements = Elements(page)
        assert not {"script", "link", "img", "iframe", "object", "form", "base"} & elements.names
        policy = next(attrs for tag, attrs in elements.found if attrs.get("http-equiv") == "Content-Security-Policy")
        assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
        assert "url(" not in page
        links = [attrs["href"] or "" for tag, attrs in elements.found if tag == "a"]
        anchors = {f"#{attrs['id']}" for _, attrs in elements.found if attrs.get("id")}
        assert [link for link in links if link.startswith("#") and link not in anchors] == []


def test_a_page_shows_all_that_is_known() -> None:
    run = told(gates=[GATE], warnings=["beware"])
    page = report_page(run.report, run.figures, run.manifest)
    for name in ("gates", "rows", "flow", "calls", "data", "samples", "rejects", "provenance", "warnings"):
        assert f'<section id="{name}">' in page
    for said in (
        "Latency of completions",
        "Calls in flight over time, 7 at most",
        "Tokens of a reply",
        "NothingParsed",
        "flowchart TD",
    ):
        assert said in page


def test_a_page_of_a_run_that_was_killed_shows_the_little_there_is() -> None:
    run = told(blocks=[], status="crashed", rows_in=0, rows_out=0)
    page = report_page(run.report, {}, {})
    assert "crashed" in page
    assert '<section id="calls">' not in page
    assert not Elements(page).unbalanced


def test_every_table_has_a_caption_and_heads_and_can_be_reached_by_keyboard() -> None:
    for page in pages("text"):
        elements = Elements(page)
        tables = sum(tag == "table" for tag, _ in elements.found)
        assert tables == sum(tag == "caption" for tag, _ in elements.found) > 0
        regions = [attrs for _, attrs in elements.found if attrs.get("role") == "region"]
        assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in regions)
        assert all(attrs.get("aria-label") for tag, attrs in elements.found if tag == "svg")
