"""What models, servers and rows say, made harmless where it is shown: it steers no terminal, and is no markup."""

from __future__ import annotations

import re
from typing import Any

_MARKUP = re.compile(r"[\\`|\[\]]")
_TURNS_TEXT_ROUND = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
"""Characters that let a text read other than it is written."""
_NO_PART_OF_A_PAGE = [*range(9), 11, 12, *range(14, 32), *range(127, 160)]

_IN_PAGES = {**dict.fromkeys(_NO_PART_OF_A_PAGE, "�"), **{code: f"\\u{code:04x}" for code in _TURNS_TEXT_ROUND}}


def plain(text: str) -> str:
    """Return a text for a terminal, without control characters other than line ends and tabs: they are shown, not obeyed."""
    return "".join(char if char in "\n\t" or char.isprintable() else repr(char)[1:-1] for char in text)


def in_markdown(value: Any) -> str:
    """Return a text for a line or a cell of Markdown: no HTML, no picture, link or code, no end of the cell."""
    text = " ".join(str(value).split())
    return _MARKUP.sub(r"\\\g<0>", plain(text)).replace("<", "&lt;")


def fenced(text: str) -> str:
    """Return a text as a block of Markdown that nothing in it ends."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain(text)}\n{fence}"


def in_page(page: str) -> str:
    """Return a page without characters that no page may have, and without those that turn its text round."""
    return page.translate(_IN_PAGES).encode("utf-8", "replace").decode()
