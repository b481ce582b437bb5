"""The tools that a row offers to a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sdg_prefect.blocks.conversation import without_nulls


class Unfit(ValueError):
    """What a row holds is not what it should be; the message says why."""


def listed(value: Any) -> list[Any]:
    """Return what a cell holds as a list: JSON text is read, nulls in objects are left out.

    Raises:
        Unfit: It is text and no JSON.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError) as error:
            raise Unfit(f"the text is no JSON: {error}") from error
    else:
        value = without_nulls(value)
    return value if isinstance(value, list) else [] if value is None else [value]


def functions_in(value: Any) -> list[Mapping[str, Any]]:
    """Return the functions that a cell describes, each with its ``name`` and as a rule ``description`` and ``parameters``.

    Raises:
        Unfit: One has no name, or the cell is no JSON.
    """
    functions = []
    for item in listed(value):
        function = item.get("function", item) if isinstance(item, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise Unfit(f"a tool is an object with 'name' and 'parameters', not {json.dumps(item, ensure_ascii=False)}.")
        functions.append(function)
    return functions


def tools_in(value: Any) -> list[dict[str, Any]]:
    """Return the tools that a cell describes as the OpenAI protocol has them; none where it is null or empty.

    Raises:
        Unfit: One has no name, or the cell is no JSON.
    """
    return [{"type": "function", "function": dict(function)} for function in functions_in(value)]
