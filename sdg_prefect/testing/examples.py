"""The example of a block type, checked: it gives the rows that it shows, and awkward rows do no harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.structure import StructureBlock
from sdg_prefect.errors import SdgError
from sdg_prefect.frozen import digest
from sdg_prefect.models.completion import Failure
from sdg_prefect.testing.running import run_block
from sdg_prefect.testing.script import Reply
from sdg_prefect.testing.standards import check_block

if TYPE_CHECKING:
    import pyarrow as pa

_AWKWARD = ("", " b\n", "é\u2028🦜 {{ x }}</think>", "0")
"""Texts that blocks stumble over: nothing, white space, letters beyond ASCII, marks of templates and tags."""


def check_example(cls: type[Block], *, elsewhere: bool = True) -> list[str]:
    """Check a block type by its example.

    The example gives the rows that it shows. On its rows, and on rows like them that have nulls, empty texts and letters of every
    kind, the block keeps to the standards of ``check_block``.

    Args:
        cls: The block type.
        elsewhere: False to leave out the check in another process; see ``check_block``.

    Returns:
        What is wrong, one sentence each; empty if nothing is.
    """
    if cls.example is None:
        return [f"{cls.__name__} has no example."]
    with cls.example.built(cls) as block:
        if isinstance(block, StructureBlock):
            return check_block(block, elsewhere=elsewhere)
        if not cls.example.rows:
            return [f"the example of {cls.__name__} has no rows."]
        found = check_block(block, awkward_rows(cls.example), awkward_replies(cls.example), elsewhere=elsewhere)
        return found + _wrong_output(block, cls.example)


def _wrong_output(block: Block, example: Example) -> list[str]:
    if example.output is None:
        return []
    try:
        made = run_block(block, list(example.rows), dict(example.replies))
    except SdgError as error:
        return [f"the example fails: {error}"]
    expected = [dict(row) for row in example.output]
    return [] if made.rows == expected else [f"the example gives {made.rows}, not {expected}."]


def awkward_rows(example: Example) -> pa.Table:
    """Return the rows of an example, and more of their kind: with nulls, and with texts that blocks stumble over."""
    import pyarrow as pa

    first = dict(example.rows[0])
    rows: list[Mapping[str, Any]] = [*example.rows, dict.fromkeys(first)]
    rows += [{**first, name: None} for name in first]
    for text in _AWKWARD:
        rows.append({name: text if isinstance(value, str) else value for name, value in first.items()})
    rows += [{name: [] if isinstance(value, list) else value for name, value in first.items()}, first]
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.Table.from_pylist(list(map(dict, example.rows))).schema)


def awkward_replies(example: Example) -> Callable[[str], Reply]:
    """Return a model that says what the example tells, and to other prompts one of those replies, nothing, or that it failed."""
    others: list[Reply] = [
        *example.replies.values(),
        "",
        "nothing to find",
        [None],
        Failure("ContentFiltered", "refused", transient=False),
    ]

    def reply(prompt: str) -> Reply:
        told = next((said for part, said in example.replies.items() if part in prompt), None)
        return told if told is not None else others[int(digest(prompt, size=2), 16) % len(others)]

    return reply
