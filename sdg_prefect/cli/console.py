"""Lines for people, on stderr; stdout is for results."""

from __future__ import annotations

import sys


def say(message: str) -> None:
    """Print a line for a person. Control characters, which could steer a terminal, are shown instead of obeyed."""
    print(plain(message), file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Return a text without control characters other than line ends and tabs."""
    return "".join(char if char in "\n\t" or char.isprintable() else repr(char)[1:-1] for char in text)
