"""Lines for people, on stderr; stdout is for results."""

from __future__ import annotations

import sys

from sdg_prefect.report.inert import plain


def say(message: str) -> None:
    """Print a line for a person. Control characters, which could steer a terminal, are shown instead of obeyed."""
    print(plain(message), file=sys.stderr, flush=True)
