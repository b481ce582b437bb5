"""The site of the documents: it can be built, has every page, and asks nobody else for anything."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.pages import ROOT

_LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src",
    "link": "href", "object": "data", "form": "action",
}  # fmt: skip
_ELSEWHERE = re.compile(r"^(https?:)?//", re.IGNORECASE)
_STYLE = re.compile(r"(?:url\(|@import)\s*['\"]?(?P<place>[^'\")\s;]+)", re.IGNORECASE)


class _Loaded(HTMLParser):
    """Collects what a page loads, and the ids of what it has."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in _LOADS and (place := given.get(_LOADS[tag])) and given.get("rel") != "canonical":
            self.places.append(place)
        self.places += _STYLE.findall(given.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a link that leads nowhere, or a page that is in no menu, fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder


def test_a_page_of_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        loaded = _Loaded()
        loaded.feed(page.read_text("utf-8"))
        assert [place for place in loaded.places if _ELSEWHERE.match(place)] == [], page.name
        for place in loaded.places:
            file = (page.parent / place.partition("?")[0].partition("#")[0]).resolve()
            assert place.startswith(("#", "data:")) or page.name == "404.html" or file.exists(), (page.name, place)
    for style in site.rglob("*.css"):
        assert [place for place in _STYLE.findall(style.read_text("utf-8")) if _ELSEWHERE.match(place)] == [], style.name


def test_the_site_has_what_readers_look_for_and_nothing_of_how_it_is_made(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text("utf-8")
    for words in ("stopped_by_budget", "StructuredLLMBlock", "SDG_PREFECT_DRAIN_SECONDS", "DataDesigner"):
        assert words in index
    assert 'class="filename">flow.yaml<' in (site / "index.html").read_text("utf-8")
    assert not list(site.glob("*.py"))
