"""What a document says, and pages of a PDF on which there is something to see and nothing to read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sdg_prefect.errors import Problem
from sdg_prefect.store.places import Found

_PIXELS = 240
"""Pixels of the longer side of a page that is drawn to see whether it is blank."""
_SHADES = 48
"""Shades of 256 by which a pixel differs from its page if something is there."""
_LEAST_INK = 0.0005
"""The share of such pixels below which a page is blank: the dust of a scanner, or a number on an empty page."""
_COVERED = 0.5
"""The share of a page from which on a picture is the page."""
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Text:
    """What a document says."""

    text: str
    doubt: Problem | None = None
    """What may be missing of it."""


def text_of_pages(found: Found, document: Any, texts: Sequence[str], whole: str, reader: str, hint: str) -> Text:
    """Return the text of a PDF, with a warning where pages are pictures that nothing was read from, as of a scan.

    Such a page has no text, or only what another page says too but for its numbers, as a stamp does, and is drawn of pictures or
    lines. Blank pages are none.

    Args:
        found: The file.
        document: The same as PDFium has it.
        texts: The text of each page.
        whole: The text of all.
        reader: Who read them, as the beginning of a sentence.
        hint: What to do about pages that nothing was read from.

    Raises:
        InputError: There is no page that has a text of its own.
    """
    wordless = _wordless(document, texts)
    if not any(texts) or len(wordless) == len(texts):
        pages = "its page is a picture" if len(texts) == 1 else f"its {len(texts)} pages are pictures"
        raise found.problem(f"is a PDF without text: {pages}, as of a scan, or empty.", hint)
    if not wordless:
        return Text(whole)
    which = f"page {wordless[0]}" if len(wordless) == 1 else f"pages {_ranges(wordless)}"
    message = f"{reader} finds nothing to read on {which} of {len(texts)}, where there is something to see, as in a scan."
    return Text(whole, Problem(f"{message} The row lacks what it says.", hint, found.path, warning=True))


def _wordless(document: Any, texts: Sequence[str]) -> list[int]:
    """Return the numbers of the pages, from 1, that are no more than pictures."""
    stamps = Counter(_NUMBERS.sub("", text) for text in texts)
    wordless = []
    for number, text in enumerate(texts):
        if not text or stamps[_NUMBERS.sub("", text)] > 1:
            with closing(document[number]) as page:
                if _is_covered(page) if text else _shows_something(page):
                    wordless.append(number + 1)
    return wordless


def _shows_something(page: Any) -> bool:
    """Draw a page small, and look whether anything stands out from it."""
    import numpy as np

    with closing(page.render(scale=_PIXELS / max(page.get_size()), grayscale=True)) as drawn:
        shades = drawn.to_numpy().astype(int)
    return float((abs(shades - np.median(shades)) > _SHADES).mean()) > _LEAST_INK


def _is_covered(page: Any) -> bool:
    """Look whether a picture takes most of a page."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    width, height = page.get_size()
    boxes = (picture.get_bounds() for picture in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]))
    return any((right - left) * (top - bottom) >= _COVERED * width * height for left, bottom, right, top in boxes)


def _ranges(numbers: Sequence[int]) -> str:
    """Write numbers in order as people do: ``2, 5-7``."""
    ends = [place for place, (one, other) in enumerate(pairwise(numbers)) if other - one > 1]
    runs = zip([0, *(end + 1 for end in ends)], [*ends, len(numbers) - 1], strict=True)
    return ", ".join(f"{numbers[first]}" if first == last else f"{numbers[first]}-{numbers[last]}" for first, last in runs)
