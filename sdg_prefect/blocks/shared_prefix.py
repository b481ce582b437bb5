"""The beginning that prompts of all rows have in common: what providers keep in their caches and bill at a tenth to a half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sdg_prefect.blocks.templates import find_constants

Known = tuple[tuple[str, str], ...]
"""Variables of a prompt that have the same value for every row."""

_SHORT, _LONG = 3_000, 4_000
"""Characters: about what providers cache at least, 1,024 tokens; and surely more than that."""


def shared_prefix(messages: Sequence[Mapping[str, str]], templates: tuple[str, ...], known: Known) -> int:
    """Count the characters at the beginning of a row's messages that those of every other row have too.

    Args:
        messages: The filled messages.
        templates: What they are made of.
        known: Variables that have the same value for every row; a row may have one of its own all the same.
    """
    beginning = _beginning(templates, known)
    text = messages[0]["content"] if len(messages) == 1 else "".join(message["content"] for message in messages)
    return len(beginning) if text.startswith(beginning) else 0


@lru_cache(maxsize=1024)
def _beginning(templates: tuple[str, ...], known: Known) -> str:
    """Return the text with which filled messages begin. White space before the row's part may be stripped where that is empty."""
    said = []
    for template in templates:
        found = find_constants(template, known)
        said.append(found.start.strip())
        if found.line:
            break
    return "".join(said)


def shared_messages(conversations: Sequence[Sequence[Mapping[str, Any]]]) -> int:
    """Count the characters of the messages with which all conversations begin; 0 where there is one conversation only."""
    if len(conversations) < 2:
        return 0
    shared = 0
    for first, *others in zip(*conversations, strict=False):
        content = first.get("content")
        if not isinstance(content, str) or any(other != first for other in others):
            break
        shared += len(content)
    return shared


def unshared_rest(templates: tuple[str, ...], known: Known) -> tuple[int, int, int] | None:
    """Say what a prompt would share if it did not begin with something of the row; None where that is no matter.

    Returns:
        The message and the line in it where the row's part begins, and how many constant characters come after that.
    """
    found = [find_constants(template, known) for template in templates]
    first = next((place for place, constants in enumerate(found) if constants.line), None)
    if first is None or len(_beginning(templates, known)) >= _SHORT:
        return None
    later = found[first].later + sum(len(rest.start) + rest.later for rest in found[first + 1 :])
    return (first, found[first].line, later) if later >= _LONG else None
