"""Values of a report as texts for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def number(value: float | None) -> str:
    """Write a whole number, and nothing as a dot."""
    return f"{value:,.0f}" if value else "·"


def share(value: float | None) -> str:
    """Write a share in percent."""
    return f"{value:.1%}" if value else "·"


def words(value: str) -> str:
    """Write a name of a program as words."""
    return str(value).replace("_", " ")


def shown(value: Any) -> str:
    """Write any value of a row as a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, indent=1)


def said(content: Any, tool_calls: Any) -> Any:
    """Return what a message says, where it calls tools as a text with a line for each call."""
    if not tool_calls:
        return content
    lines = [shown(content)] if content else []
    for call in tool_calls:
        called = call.get("function") or call.get("custom") or call
        lines.append(f"calls {called.get('name')} with {called.get('arguments', called.get('input', ''))}")
    return "\n".join(lines)


def brief(value: str) -> str:
    """Write the beginning of a text on one line."""
    text = " ".join(value.split())
    return text if len(text) <= 90 else f"{text[:90]}…"


def as_text(value: Any) -> str:
    """Write any value of a report as a text."""
    if value is None:
        return "nothing"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{value:,}"


def change(entry: Mapping[str, Any]) -> str:
    """Write by how much a figure changed; nothing where that says nothing."""
    old, new = entry["old"], entry["new"]
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
    return f"{(new - old) / old:+.1%}" if are_numbers and old else ""


def usd(value: float | None, *, is_known: bool = True) -> str:
    """Write an amount of dollars."""
    if not is_known:
        return f"over ${value:,.4f}" if value else "not known"
    return f"${value:,.4f}" if value else "·"


def small_usd(value: float) -> str:
    """Write what one row costs, mostly far less than a cent, in two or three figures."""
    return f"${Decimal(f'{value:.3g}' if value >= 0.01 else f'{value:.2g}'):f}"
