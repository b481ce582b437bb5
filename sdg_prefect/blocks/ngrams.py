"""Words of a text as comparisons see them, and the runs of words that texts have in common."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[぀-ヿ㐀-䶿一-鿿가-힯]|[^\W぀-ヿ㐀-䶿一-鿿가-힯]+")
"""A letter of a script that is written without spaces counts as a word."""
_DIGEST = 8


def normal_words(text: str) -> list[str]:
    """Return the words of a text in one form of their letters, without case and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(folded) if folded.isascii() else _UNSPACED.findall(folded)


def ngrams(words: Sequence[str], size: int) -> Iterator[bytes]:
    """Give the hash of each run of so many words; of a shorter text none."""
    for start in range(len(words) - size + 1):
        yield hashlib.blake2b(
            "\x1f".join(words[start : start + size]).encode("utf-8", "surrogatepass"), digest_size=_DIGEST
        ).digest()
