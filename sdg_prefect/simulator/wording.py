"""Words, sentences and subjects of a text."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from typing import Any

TOKEN = re.compile(r"\w+|[^\w\s]")
"""A word or a mark of punctuation: what the simulated model counts as one token."""

_SPACED_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|(?<=[。！？])|\n+")
_LIST_MARK = re.compile(r"^(?:[-*•#>]+|\d{1,3}[.)]|[A-Z]\))\s+")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][\w'’-]*")
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_VERBS = (
    "is are was were has have had can could may might must should will would became becomes begins "
    "brings causes changes comes contains covers creates depends feeds forms gives goes grows helps "
    "holds includes keeps leads lies lives makes means moves needs offers produces protects provides "
    "reduces requires runs shows stores takes turns uses works"
)
_VERB = re.compile(rf"\s({'|'.join(_VERBS.split())})\s")
_NOT_A_SUBJECT = frozenset(
    "after although and as at because before but by during for from he how however if in into it on "
    "or over she since so that then there these they this those through to under until we what when "
    "where which while who why with you explain write describe list give tell make do find name "
    "compare show use create".split()
)
_COMMON = _NOT_A_SUBJECT | frozenset(
    "a all an another any both each every few her his its many more most much my no of one other our "
    "some such their about above again also answer are been being below between can cannot context "
    "could did document does done down explain following generate give had has have here itself just "
    "let like made make may me might must not now off only own please provide question response same "
    "should tell than them themselves too up us use used very was were will within without would "
    "write yes yet example examples task follow step steps answers questions".split()
)


@lru_cache(maxsize=1024)
def count_tokens(text: str) -> int:
    """Count the words and marks of punctuation of a text."""
    return len(TOKEN.findall(text))


def split_tokens(text: str) -> list[str]:
    """Split a text into tokens that join to the text again."""
    return _SPACED_TOKEN.findall(text)


def sentences_of(text: str, limit: int = 60) -> tuple[str, ...]:
    """Return the first sentences of a text; headings and fragments only if there is nothing else."""
    whole: list[str] = []
    fragments: list[str] = []
    for piece in _SENTENCE_END.split(text[:16_000]):
        sentence = _LIST_MARK.sub("", piece.strip()).strip().strip("*_`")
        if len(sentence) < 2 or sentence[-1] == ":":
            continue
        is_whole = sentence[-1] in "。！？" or (" " in sentence and (sentence[-1] in ".!?\"')" or sentence.count(" ") > 5))
        (whole if is_whole else fragments).append(sentence)
        if len(whole) == limit:
            break
    return tuple(whole or fragments)


def ends_properly(sentence: str) -> str:
    """Return the sentence with a full stop if it has no end."""
    return sentence if sentence[-1:] in ".!?。！？\"')" else f"{sentence.rstrip(' ,;:')}."


def key_words(text: str, limit: int = 8) -> tuple[str, ...]:
    """Return the telling words of a text, the most frequent first; only names keep their capital."""
    text = text[:8_000]
    names = names_in(text)
    words = [word for word in _WORD.findall(text) if len(word) > 3 and word.lower() not in _COMMON]
    counts = Counter(word if word in names or word.isupper() else word.lower() for word in words)
    return tuple(word for word, _ in counts.most_common(limit))


def names_in(text: str) -> frozenset[str]:
    """Return the words that have a capital inside a sentence."""
    return frozenset(_NAME.findall(text))


def content_words(text: str) -> frozenset[str]:
    """Return the telling words of a text in lower case, for comparing texts."""
    return frozenset(word for word in _WORD.findall(text.lower()) if len(word) > 2 and word not in _COMMON)


def lower_first(phrase: str, names: frozenset[str]) -> str:
    """Return the phrase as it reads inside a sentence: names keep their capital."""
    first, space, rest = phrase.partition(" ")
    if first in names or first[1:] != first[1:].lower() or first == "I" or rest[:1].isupper():
        return phrase
    return f"{first.lower()}{space}{rest}"


def subject_of(sentence: str, names: frozenset[str]) -> tuple[str, str, str] | None:
    """Split a sentence into subject, verb and rest, or return None if it is not that simple."""
    found = _VERB.search(sentence)
    if found is None:
        return None
    subject = sentence[: found.start()].strip(" ,;\"'")
    words = subject.split()
    if not 1 <= len(words) <= 7 or words[0].lower() in _NOT_A_SUBJECT or "," in subject:
        return None
    return lower_first(subject, names), found.group(1), sentence[found.end() :].strip()


def text_of(content: Any) -> str:
    """Return the text of a message's content, which may come in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""
