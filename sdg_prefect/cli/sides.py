"""A preview on a wide terminal: what each block asks, gets and makes, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.report.inert import plain
from sdg_prefect.report.passages import Labelled, Passage, closing_words, counts_of, passages

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

NEEDED = 100
"""Columns that a terminal needs for that."""


def beside_each_other(told: Mapping[str, Any], longest: int | None) -> Iterator[RenderableType]:
    """Draw a preview.

    Args:
        told: Its JSON.
        longest: Characters of a text that are shown; None for all.
    """
    from rich.rule import Rule
    from rich.text import Text

    for step in told["steps"]:
        title = Text.assemble((plain(step["name"]), "bold"), (f"  {plain(step['type'])} · {counts_of(step)}", "bright_black"))
        yield Rule(title, align="left", style="bright_black")
        shown = list(passages(step))
        for number, passage in enumerate(shown, 1):
            yield _sides(passage, f"row {number} of {len(shown)}", longest)
        yield ""
    for line in closing_words(told):
        yield Text(line)


def _sides(passage: Passage, which: str, longest: int | None) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False, title=which, title_justify="left", title_style="bright_black")
    parts = [("prompt", passage.asked, 4), ("reply", passage.said, 3)] if passage.asked else []
    made = "rejected" if passage.is_lost else "rows"
    for head, _, ratio in (*parts, (made, passage.made, 3)):
        table.add_column(head, ratio=ratio, overflow="fold", header_style="bold yellow" if head == "rejected" else "bold")
    table.add_row(*(_texts(texts, longest) for _, texts, _ in (*parts, (made, passage.made, 3))))
    return table


def _texts(texts: Sequence[Labelled], longest: int | None) -> Text:
    from rich.text import Text

    made = Text()
    for number, (label, text) in enumerate(texts):
        made.append("\n\n" if number else "")
        made.append(f"{plain(label)}\n", style="cyan")
        made.append(plain(shortened(text.strip("\n"), longest)))
    return made


def shortened(text: str, longest: int | None) -> str:
    """Return the beginning and the end of a text, and how much there is between: what a row gives often stands last."""
    if longest is None or len(text) <= longest:
        return text
    last = longest // 3
    return f"{text[: longest - last]} … ({len(text) - longest:,} more characters; --full shows them) … {text[-last:]}"
