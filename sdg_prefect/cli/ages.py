"""Spans of time as people type them: ``30d``, ``12h``, ``15m``."""

from __future__ import annotations

import re

from sdg_prefect.errors import FlowError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(age: str, option: str) -> float:
    """Return the seconds of a span of time.

    Args:
        age: What was typed.
        option: The option behind which it stands.

    Raises:
        FlowError: It cannot be read.
    """
    matched = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", age.strip().lower())
    if matched is None:
        raise FlowError(f"{option} takes a time such as 30d or 12h, not '{age}'.", "The units are s, m, h, d and w.")
    return float(matched[1]) * _SECONDS[matched[2]]
