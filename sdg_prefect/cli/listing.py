"""What commands that list something have in common: a name, words to search, JSON or two columns."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str | None, typer.Argument(help="One of them, in full.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Search = Annotated[str | None, typer.Option("--search", help="Only those that say these words of themselves.", metavar="WORDS")]


def says(wanted: str | None, *texts: str, whole: bool = False) -> bool:
    """True if nothing is wanted, or one of the texts holds or, as a whole, is it; large and small letters are the same."""
    if wanted is None:
        return True
    said = [text.casefold() for text in texts]
    return wanted.casefold() in said if whole else any(wanted.casefold() in text for text in said)


def columns(entries: dict[str, str]) -> str:
    """Write names and what is said of each, below one another."""
    width = max((len(key) for key in entries), default=0) + 2
    return "\n".join(f"{key:<{width}}{value}" for key, value in entries.items())
