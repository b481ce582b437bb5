"""Translations of a model that knows no language: the text stays, and a mark says which language it would be in."""

from __future__ import annotations

import re

from sdg_prefect.simulator.wording import sentences_of

_INTO = re.compile(r"\b(?:[Tt]ranslat\w*\b[^.\n]*?|back )\b(?:in)?to ([A-Z][a-z]+(?: \([A-Z][a-z]+\))?)")
_MARK = re.compile(r"^\s*\(in [A-Za-z ()]{2,40}\) ")


def language_of(instructions: str) -> str:
    """Return the language into which a prompt wants something translated."""
    found = _INTO.search(instructions)
    return found[1] if found else "another language"


def translate(text: str, language: str, *, carefully: bool) -> str:
    """Mark a text as a translation; of one that has a mark, the text without it is the translation back.

    Args:
        text: The text.
        language: The language of the translation.
        carefully: False for a translation that leaves out the last of several sentences.
    """
    plain = _MARK.sub("", text).strip()
    said = sentences_of(plain)
    if not carefully and len(said) > 1:
        plain = " ".join(said[:-1])
    return plain if _MARK.match(text) else f"(in {language}) {plain}"
