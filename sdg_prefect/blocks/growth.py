"""What grows in a template: for filters, methods and operators whose result may be longer than what they are given, how long."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import SecurityError

from sdg_prefect.blocks.effort import counted, spend, weigh

Growth = Callable[..., int]
"""Given the arguments of a call, returns how many characters come of them at most."""

_WIDEST = 6
"""Digits of the widest field of a format."""
_LONGEST = 1_000_000
"""Characters or things that a repetition may make."""
_MOST_BITS = 10_000
"""Numbers of more bits take long to divide and to write."""
_NUMBERS = re.compile(r"\d+")
_GIVEN_WIDTH = re.compile(r"\*|:[^{}]*\{")
"""Where a format takes a width from its values."""


def formatted(text: str | bytes, *args: Any, **named: Any) -> int:
    """Return how long a format becomes, in either of Python's two ways to write one.

    Raises:
        SecurityError: A field of it is wider than any prompt needs.
    """
    said = text if isinstance(text, str) else text.decode("latin-1")
    values = [*args, *named.values()]
    widths = [*_NUMBERS.findall(said)]
    if _GIVEN_WIDTH.search(said):
        widths += [str(abs(value)) if abs(value) <= _LONGEST else "9" * (_WIDEST + 1) for value in _whole_numbers(values)]
    if any(len(width) > _WIDEST for width in widths):
        raise SecurityError("a format in a prompt has a number in it that is too large")
    fields = said.count("%") + said.count("{")
    return len(said) + fields * (sum(map(weigh, values)) + max(map(int, widths), default=0))


def _whole_numbers(values: Any) -> list[int]:
    found = []
    for value in values:
        if isinstance(value, int):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _whole_numbers(value)
        elif isinstance(value, dict):
            found += _whole_numbers(value.values())
    return found


def _date_format(_: Any, text: str = "") -> int:
    return formatted(text)


def _to_width(_: Any, width: int = 80, *__: Any) -> int:
    return width


def _with_tabs(text: str, tabsize: int = 8) -> int:
    return int(text.count("\t" if isinstance(text, str) else b"\t")) * abs(tabsize)


def _replaced(text: Any, old: Any, new: Any, *_: Any) -> int:
    return str(text).count(str(old)) * len(str(new))


def _joined(separator: str, parts: Any) -> int:
    return len(separator) * len(parts)


def _filter_joined(parts: Any, d: Any = "", *_: Any, **__: Any) -> int:
    return len(str(d)) * len(parts)


def _indented(text: Any, width: Any = 4, *_: Any, **__: Any) -> int:
    return (str(text).count("\n") + 1) * (width if isinstance(width, int) else len(width))


def _wrapped(text: Any, *rest: Any, wrapstring: Any = None, **_: Any) -> int:
    between = wrapstring if wrapstring is not None else rest[2] if len(rest) > 2 else "\n"
    return len(str(text)) * len(between or "\n")


def _in_lots(_: Any, number: int, *__: Any, **___: Any) -> int:
    return number * 8


def _rounded(_: Any, precision: int = 0, *__: Any) -> int:
    return precision * precision


def _as_json(value: Any, indent: int | None = None) -> int:
    return weigh(value) * (6 + (indent or 0))


def _summed(values: Any, *rest: Any, start: Any = 0, **_: Any) -> int:
    start = rest[1] if len(rest) > 1 else start
    return 0 if isinstance(start, int | float) else weigh(values) * len(values)


def _linked(text: Any, *rest: Any, **named: Any) -> int:
    return str(text).count(".") * sum(len(str(one)) for one in (*rest, *named.values()))


def _without_tags(text: Any) -> int:
    return str(text).count("<") * len(str(text)) // 100


FILTERS: Mapping[str, Growth] = {
    "batch": _in_lots,
    "center": _to_width,
    "format": formatted,
    "indent": _indented,
    "join": _filter_joined,
    "replace": _replaced,
    "round": _rounded,
    "slice": _in_lots,
    "striptags": _without_tags,
    "sum": _summed,
    "tojson": _as_json,
    "urlize": _linked,
    "wordwrap": _wrapped,
}
METHODS: Mapping[str, Growth] = {
    "center": _to_width,
    "expandtabs": _with_tabs,
    "join": _joined,
    "ljust": _to_width,
    "replace": _replaced,
    "rjust": _to_width,
    "strftime": _date_format,
    "zfill": _to_width,
}


def pay_for_operation(operator: str, left: Any, right: Any) -> None:
    """Pay for arithmetic.

    Raises:
        SecurityError: It is a power, or makes a text, list or number of a length that no prompt needs.
    """
    if operator == "%" and isinstance(left, str | bytes):
        spend(formatted(left, right))
    elif operator == "+" and hasattr(left, "__len__"):
        counted(left)
        counted(right)
    elif operator == "**" or _is_big(left) or _is_big(right) or (operator == "*" and _repetition(left, right) > _LONGEST):
        raise SecurityError(f"'{operator}' is not allowed on these values in a prompt")


def _is_big(value: Any) -> bool:
    return isinstance(value, int) and value.bit_length() > _MOST_BITS


def _repetition(left: Any, right: Any) -> int:
    """Return how long a text or list becomes that is repeated; 0 where numbers are multiplied."""
    times, what = (left, right) if isinstance(left, int) else (right, left)
    if not hasattr(what, "__len__"):
        return 0
    size = len(what) * times if isinstance(times, int) else 0
    spend(max(0, min(size, _LONGEST)))
    return size
