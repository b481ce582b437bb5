"""The tools that a row offers to a model, and whether a call fits to them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.conversation import plain_tool_calls, without_nulls
from sdg_prefect.blocks.schemas import ReplySchema, checked_schema
from sdg_prefect.errors import did_you_mean
from sdg_prefect.rows import well_formed

_ABOUT_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")
_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


class Unfit(ValueError):
    """What a row holds is not what it should be; the message says why."""


def listed(value: Any) -> list[Any]:
    """Return what a cell holds as a list: JSON text is read, nulls in objects are left out.

    Raises:
        Unfit: It is text and no JSON.
    """
    if isinstance(value, str):
        try:
            value = well_formed(json.loads(value)) if value.strip() else None
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


def offering(params: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the parameters of a call with tools; without any, nothing is said about tools at all."""
    return {**params, "tools": tools} if tools else {name: params[name] for name in params if name not in _ABOUT_TOOLS}


def argument_schemas(value: Any, *, allow_unknown: bool = False) -> dict[str, ReplySchema]:
    """Return the schema of the arguments of each tool that a cell describes.

    Args:
        value: What the cell holds.
        allow_unknown: True to let arguments pass that the parameters do not name; where a schema itself says
            ``additionalProperties`` that counts.

    Raises:
        Unfit: A tool has no name, or its parameters are no JSON Schema.
    """
    schemas = {}
    for tool in functions_in(value):
        try:
            schema = dict(checked_schema(tool.get("parameters") or _NO_ARGUMENTS))
        except PydanticCustomError as error:
            raise Unfit(f"the parameters of '{tool['name']}' are {error.message()}") from error
        if not allow_unknown and "properties" in schema:
            schema.setdefault("additionalProperties", False)
        schemas[tool["name"]] = ReplySchema(schema_=schema)
    return schemas


def arguments_of(call: Any, schemas: Mapping[str, ReplySchema]) -> dict[str, Any]:
    """Return the arguments of a call, if it fits to the tools.

    Raises:
        Unfit: It does not.
    """
    if not isinstance(call, Mapping) or not isinstance(call.get("function", call), Mapping):
        raise Unfit(f"a call is an object with 'name' and 'arguments', not {json.dumps(call, ensure_ascii=False)}")
    plain = (plain_tool_calls([call]) or [])[0]["function"]
    name, text = plain["name"], plain["arguments"]
    if name not in schemas:
        raise Unfit(f"there is no tool '{name}'. {did_you_mean(name, schemas)}".strip())
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise Unfit(f"{name}: the arguments are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise Unfit(f"{name}: the arguments are no object")
    if faults := schemas[name].errors(arguments):
        raise Unfit(f"{name}: {'; '.join(faults)}")
    return arguments
