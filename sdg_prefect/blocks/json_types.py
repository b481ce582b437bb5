"""From JSON Schema to the types of columns, and from JSON values to what such columns hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

Schema = Mapping[str, Any]

_INT64 = 2**63
_DEEPEST = 12
"""Levels of objects and lists that become nested columns; what lies deeper, in a schema that refers to itself, is JSON text."""


def resolved(schema: Any, root: Schema) -> dict[str, Any]:
    """Follow references within a schema, and leave out the null of what may be null."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        branches = [branch for key in ("anyOf", "oneOf") for branch in schema.get(key, ())]
        others = [branch for branch in branches if not (isinstance(branch, Mapping) and branch.get("type") == "null")]
        if "$ref" in schema:
            schema = _referred(str(schema["$ref"]), root)
        elif len(others) == 1 and len(schema.get("allOf", ())) == 0:
            schema = others[0]
        elif not branches and len(schema.get("allOf", ())) == 1 and "properties" not in schema:
            schema = schema["allOf"][0]
        else:
            return dict(schema)
    return {}


def _referred(reference: str, root: Schema) -> Any:
    found: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name, {}) if isinstance(found, Mapping) else {}
    return found


def arrow_type(schema: Any, root: Schema, depth: int = 0) -> pa.DataType:
    """Return the type of a column whose values match a schema. What no column can hold as it is becomes JSON text.

    Args:
        schema: The part of the schema that the values match.
        root: The whole of it, to which references refer.
        depth: How deep the part lies.
    """
    import pyarrow as pa

    schema = resolved(schema, root)
    match _type_name(schema):
        case "string":
            return pa.string()
        case "integer":
            return pa.int64()
        case "number":
            return pa.float64()
        case "boolean":
            return pa.bool_()
        case "array" if depth < _DEEPEST and "items" in schema:
            return pa.list_(arrow_type(schema["items"], root, depth + 1))
        case "object" if depth < _DEEPEST and schema.get("properties"):
            parts = schema["properties"].items()
            return pa.struct([(name, arrow_type(part, root, depth + 1)) for name, part in parts])
    return pa.string()


def _type_name(schema: Schema) -> str:
    """Return the one type of JSON that values of a schema have, null apart; empty where there are several or any."""
    named = schema.get("type")
    names = {named} if isinstance(named, str) else set(named or ())
    if not names:
        values = schema.get("enum") or ([schema["const"]] if "const" in schema else [])
        names = {_name_of(value) for value in values}
    names.discard("null")
    if names == {"integer", "number"}:
        return "number"
    return names.pop() if len(names) == 1 else ""


def _name_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def fitted(value: Any, kind: pa.DataType) -> Any:
    """Return a JSON value as a column of a type holds it.

    Raises:
        ValueError: It is a whole number of more than 64 bits.
    """
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_struct(kind):
        return {field.name: fitted(value.get(field.name), field.type) for field in kind}
    if pa.types.is_list(kind):
        return [fitted(item, kind.value_type) for item in value]
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if pa.types.is_floating(kind):
        return float(value)
    if pa.types.is_integer(kind):
        if abs(value) >= _INT64:
            raise ValueError(f"{value} is too large a number")
        return int(value)
    return value
