"""The JSON Schema of flow files, for editors."""

from __future__ import annotations

from typing import Any

from sdg_prefect.blocks import Block, block_names, find_block
from sdg_prefect.blocks.conditions import CONDITION_SCHEMA
from sdg_prefect.frozen import documented_schema
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.report.expectations import Expectations
from sdg_prefect.spec.flow import Inputs
from sdg_prefect.spec.parameter import Parameter

_NAMES = {"type": "array", "items": {"type": "string"}}
_CLOSED: dict[str, Any] = {"patternProperties": {"^x-": True}, "additionalProperties": False}
"""No keys but the known ones, and those of the user's own."""
_FILLED = {
    "type": "string",
    "pattern": r"^\$\{[^{}]+\}$",
    "description": "A parameter of the flow, or an environment variable.",
}
_INCLUDE = {
    "type": "object",
    "properties": {
        "include": {"type": "string", "description": "Path of a flow file, whose blocks stand here."},
        "parameters": {"type": "object", "description": "Values of the parameters of that file."},
    },
    "required": ["include"],
    **_CLOSED,
}


def flow_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a flow file, with every block type that is installed."""
    classes = [cls for name in block_names() if (cls := find_block(name)) is not None]
    definitions: dict[str, Any] = {}
    items = [_item(cls, definitions) for cls in classes]
    definitions["blocks"] = {"type": "array", "minItems": 1, "items": {"oneOf": [*items, _INCLUDE]}}
    definitions["endpoint"] = _lifted(documented_schema(Endpoint), definitions)
    definitions["expect"] = _lifted(documented_schema(Expectations), definitions)
    models = {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/endpoint"}]}}
    root = {
        "name": {"type": "string", "description": "Name of the flow; Prefect shows it."},
        "description": {"type": "string"},
        "metadata": {"type": "object"},
        "models": models,
        "inputs": _lifted(documented_schema(Inputs), definitions),
        "output_columns": {**_NAMES, "description": "Columns of the output, in order."},
        "target_rows": {"type": "integer", "minimum": 1, "description": "Rows that are wanted, exactly."},
        "max_candidates": {"type": "integer", "minimum": 1, "description": "Seeds that are tried for them at most."},
        "max_reject_rate": {"type": "number", "minimum": 0, "maximum": 1},
        "budget": _lifted(documented_schema(Budget), definitions),
        "expect": {"$ref": "#/$defs/expect"},
        "parameters": {"type": "object", "additionalProperties": _lifted(_parameter_schema(), definitions)},
    }
    blocks = {"$ref": "#/$defs/blocks"}
    pipeline = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "flow": {"type": "string"},
            "parameters": {"type": "object"},
            "blocks": blocks,
        },
        **_CLOSED,
    }
    one = {"type": "object", "properties": {**root, "blocks": blocks}, "required": ["blocks"], **_CLOSED}
    many = {
        "type": "object",
        "properties": {**root, "pipelines": {"type": "array", "minItems": 1, "items": pipeline}},
        "required": ["pipelines"],
        **_CLOSED,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "sdg_prefect flow",
        "description": "A list of blocks, a mapping with 'blocks', or a workflow with 'pipelines'.",
        "anyOf": [blocks, one, many],
        "$defs": definitions,
    }


def block_schema(cls: type[Block]) -> dict[str, Any]:
    """Return the JSON Schema of a block's ``block_config``."""
    schema = documented_schema(cls)
    if cls.type_name != "IterBlock":
        schema.get("properties", {}).pop("gen_kwargs", None)
    return schema


def _parameter_schema() -> dict[str, Any]:
    """Return the schema of a parameter as it is declared: its keys, or a default alone."""
    known = documented_schema(Parameter)
    # sdg_hub 0.9 has some more.
    return {"anyOf": [{**known, "additionalProperties": True}, {"type": ["string", "number", "boolean", "array", "null"]}]}


def _item(cls: type[Block], definitions: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "block_type": {"const": cls.type_name, "description": (cls.__doc__ or "").strip().split("\n")[0]},
        "block_config": _lifted(_opened(block_schema(cls)), definitions),
        "when": {**CONDITION_SCHEMA, "description": "Which rows the block works on: an expression over columns. Others pass by."},
        "drop_columns": {**_NAMES, "description": "Columns to drop after the block."},
        "drop_duplicates": {"anyOf": [_NAMES, {"type": "string"}, {"const": False}]},
        "scope": {"enum": ["all", "shard"]},
        "expect": {"$ref": "#/$defs/expect"},
    }
    if "gen_kwargs" in cls.model_fields:
        properties["gen_kwargs"] = {"type": "object", "description": "Sampling parameters."}
    return {
        "type": "object",
        "properties": properties,
        "required": ["block_type", "block_config"],
        **_CLOSED,
    }


def _lifted(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Move a schema's own definitions to the root, where its references point."""
    definitions.update(schema.pop("$defs", {}))
    return schema


def _opened(schema: dict[str, Any]) -> dict[str, Any]:
    """Let ``${...}`` stand for each value inside of a schema, at any depth, as the reader fills it in."""
    opened = dict(schema)
    for key in ("properties", "$defs"):
        if key in schema:
            open_one = _or_filled if key == "properties" else _opened
            opened[key] = {name: open_one(about) for name, about in schema[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            opened[key] = _or_filled(schema[key])
    if "anyOf" in schema:
        opened["anyOf"] = [_opened(one) for one in schema["anyOf"]]
    return opened


def _or_filled(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value or of ``${...}`` in its place; what describes it stays outside, where editors look."""
    about: dict[str, Any] = {key: schema[key] for key in ("title", "description", "default") if key in schema}
    return {**about, "anyOf": [_opened({key: part for key, part in schema.items() if key not in about}), _FILLED]}
