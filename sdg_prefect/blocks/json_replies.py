"""Read JSON out of a reply, with small faults repaired, and compare it with its schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks.schemas import ReplySchema
from sdg_prefect.rows import well_formed

if TYPE_CHECKING:
    from sdg_prefect.models.completion import Choice


class Unreadable(ValueError):
    """A reply is not what was asked for; the message says why."""

    def __init__(self, message: str, *, is_cut: bool = False) -> None:
        super().__init__(message)
        self.is_cut = is_cut
        """True where it was cut at max_tokens."""


def read_reply(choice: Choice, schema: ReplySchema) -> Any:
    """Return the JSON value of a reply.

    Args:
        choice: The reply. One that was cut at max_tokens is not repaired: what is missing would be lost without a word.
        schema: What it has to match.

    Raises:
        Unreadable: There is no JSON in it, or it does not match.
    """
    text = (choice.text or "").strip()
    is_cut = choice.finish_reason == "length"
    try:
        value = well_formed(json.loads(text))
    except (ValueError, RecursionError):
        if is_cut:
            raise Unreadable("the reply was cut at max_tokens.", is_cut=True) from None
        value = _repaired(text)
    if faults := schema.errors(value):
        raise Unreadable("\n".join(faults))
    return value


def _repaired(text: str) -> Any:
    """Return the value of text that is nearly JSON: in a fence or a sentence, with single quotes, without a comma."""
    from json_repair import repair_json

    if not any(mark in text for mark in "{["):
        raise Unreadable("the reply is empty." if not text else "there is no JSON in the reply.")
    try:
        return well_formed(repair_json(text, return_objects=True))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}.") from error
