"""How MkDocs reads the documents: they are written as GitHub shows them, and some stand outside of ``docs``.

Links are found by pattern rather than by a plug-in: mkdocs-same-dir would make the whole project the site's folder, environments
and all, and none that we found knows code whose first line names its file.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
_OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "deployments/*.md", "examples/**/*.md", "flows/**/*.md")
"""Documents that are pages of the site."""
_FENCE = re.compile(r"^```.*?^```[ ]*$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"^```(?P<language>\w+) (?P<file>\S+)$", re.MULTILINE)
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside of ``docs``, and the files to which any document leads."""
    for pattern in _OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            _add(path.relative_to(ROOT).as_posix(), files, config)
    for page in files.documentation_pages():
        for match in _LINK.finditer(_FENCE.sub("", page.content_string)):
            target = _resolve(match["target"], page.src_uri)
            if target and not target.endswith(".md") and (ROOT / target).is_file():
                _add(target, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Let code show the name of its file, and links lead to where the documents are in the site."""
    here = page.file.src_uri
    if here == "index.md":
        page.meta["hide"] = ["navigation"]

    def lead(match: re.Match[str]) -> str:
        target = _resolve(match["target"], here)
        if not target:
            return match[0]
        return f"{match['before']}{posixpath.relpath(_uri(target), posixpath.dirname(here) or '.')}{match['anchor'] or ''})"

    parts = []
    end = 0
    for fence in _FENCE.finditer(markdown):
        parts += [_LINK.sub(lead, markdown[end : fence.start()]), _NAMED.sub(_with_title, fence[0], count=1)]
        end = fence.end()
    return "".join([*parts, _LINK.sub(lead, markdown[end:])])


def on_post_page(output: str, **_: object) -> str:
    """Give the dialog of the search the name that its theme leaves out."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def _add(place: str, files: Files, config: MkDocsConfig) -> None:
    uri = _uri(place)
    if uri not in files.src_uris:
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / place)))


def _with_title(match: re.Match[str]) -> str:
    return f'```{match["language"]} title="{match["file"]}"'


def _place(uri: str) -> str:
    """Return where a page of the site is in the project."""
    if uri == "index.md":
        return "README.md"
    return f"docs/{uri}" if (ROOT / "docs" / uri).exists() else uri


def _uri(place: str) -> str:
    """Return where a file of the project is in the site."""
    return "index.md" if place == "README.md" else place.removeprefix("docs/")


def _resolve(target: str, uri: str) -> str:
    """Return the file of the project to which a link leads; nothing where it leads out of it."""
    if "://" in target or target.startswith("mailto:"):
        return ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(_place(uri)), target))
