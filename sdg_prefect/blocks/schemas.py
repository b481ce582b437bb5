"""What a structured reply has to look like: a JSON Schema, in place or in a file, or a pydantic class of an installed package."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, time
from functools import cached_property, lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ValidationError, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.files import FlowFiles, file_validator
from sdg_prefect.errors import did_you_mean
from sdg_prefect.frozen import Frozen, canonical

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "sdg_prefect.types"
"""Entry point group of packages that bring classes: ``name = "package.module:Class"``."""

_MOST_ERRORS = 5
"""How many faults of a reply are told."""
_FORMATS = ("date", "email", "ipv4", "ipv6", "uuid")
"""Formats that jsonschema checks by itself. Those of times it leaves to a package that wants a time zone, which models omit."""
_DATE = len("2024-05-17")


class ReplySchema(Frozen):
    """A JSON Schema, and where it comes from."""

    schema_: Mapping[str, Any]
    """The schema, draft 2020-12."""
    type_name: str = ""
    """The pydantic class that it is made of, as its entry point names it."""

    @cached_property
    def text(self) -> str:
        """The schema as JSON, the same for equal schemas."""
        return canonical(dict(self.schema_)).decode()

    def errors(self, value: Any) -> list[str]:
        """Say what is wrong with a value, one sentence each; nothing if it matches."""
        found = sorted(_validator(self.text).iter_errors(value), key=lambda error: [str(part) for part in error.absolute_path])
        said = [f"{error.json_path}: {error.message}" for error in found[:_MOST_ERRORS]]
        return said or self._errors_of_class(value)

    def _errors_of_class(self, value: Any) -> list[str]:
        """Say what the class finds wrong that its schema cannot say."""
        if not self.type_name:
            return []
        try:
            find_type(self.type_name).model_validate(value)
        except ValidationError as error:
            found = error.errors()[:_MOST_ERRORS]
            return [f"{'.'.join(['$', *map(str, one['loc'])])}: {one['msg']}" for one in found]
        return []

    @property
    def is_strict(self) -> bool:
        """True where every object names all that it has, as OpenAI wants it of a schema that it holds replies to strictly."""
        return all(
            part.get("additionalProperties") is False and set(part.get("required", ())) == set(part["properties"])
            for part in _objects(self.schema_)
        )


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Give every part of a schema that has properties."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("properties"), Mapping):
            yield schema
        for part in schema.values():
            yield from _objects(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _objects(part)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema), format_checker=_formats())


@lru_cache(maxsize=1)
def _formats() -> Any:
    """Return what checks formats: the same ones everywhere, whichever packages beside jsonschema are installed."""
    from jsonschema import FormatChecker

    checker = FormatChecker(_FORMATS)
    checker.checks("date-time", raises=ValueError)(_is_date_and_time)
    checker.checks("time", raises=ValueError)(_is_time)
    return checker


def _is_date_and_time(value: Any) -> bool:
    return not isinstance(value, str) or (len(value) > _DATE and bool(datetime.fromisoformat(value)))


def _is_time(value: Any) -> bool:
    return not isinstance(value, str) or time.fromisoformat(value) is not None


def checked_schema(schema: Any) -> Mapping[str, Any]:
    """Return a JSON Schema if it is one.

    Raises:
        PydanticCustomError: It is none, or it refers to something outside of itself.
    """
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(schema, Mapping):
        raise PydanticCustomError("json_schema", "a JSON Schema is a mapping, such as {{type: object, properties: ...}}.")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        place = ".".join(map(str, error.absolute_path))
        raise PydanticCustomError("json_schema", "not a JSON Schema: {place}{said}.",
                                  {"place": f"{place}: " if place else "", "said": error.message}) from error  # fmt: skip
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise PydanticCustomError(
                "json_schema", "the schema refers to '{name}', which lies outside of it.", {"name": reference}
            )
    return schema


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, part in schema.items():
            if key in ("$ref", "$dynamicRef") and isinstance(part, str):
                yield part
            yield from _references(part)
    elif isinstance(schema, (list, tuple)):
        for part in schema:
            yield from _references(part)


def _load(files: FlowFiles, name: str) -> ReplySchema:
    content, _, _ = files.read_mapping(name)
    return ReplySchema(schema_=checked_schema(content))


def _in_place(value: Any, handler: Callable[[Any], ReplySchema]) -> ReplySchema:
    is_read = isinstance(value, Mapping) and "schema_" in value
    return handler(value) if is_read or isinstance(value, ReplySchema) else ReplySchema(schema_=checked_schema(value))


def _read(value: Any, handler: Any, info: Any) -> ReplySchema:
    if isinstance(value, str):
        return file_validator(ReplySchema, _load)(value, handler, info)
    return _in_place(value, handler)


SchemaField = Annotated[
    ReplySchema,
    WrapValidator(_read),
    WithJsonSchema({"type": ["string", "object"], "description": "A JSON Schema, or the path of a file with one."}),
]
"""A field that holds a JSON Schema, or the name of a YAML or JSON file with one."""


@lru_cache(maxsize=256)
def find_type(name: str) -> type[BaseModel]:
    """Return the pydantic class that an installed package brings under a name, or under its dotted name.

    Only what an entry point names is ever imported.

    Raises:
        PydanticCustomError: No package brings it, or it cannot be imported, or is no pydantic class.
    """
    entries = entry_points(group=GROUP)
    entry = next((one for one in entries if name in _names(one)), None)
    if entry is None:
        near = did_you_mean(name, [known for one in entries for known in _names(one)])
        hint = near or f"A package brings classes by the entry point group '{GROUP}'."
        raise PydanticCustomError("type", "no installed package brings the class '{name}'. {hint}", {"name": name, "hint": hint})
    try:
        found = entry.load()
    except Exception as error:
        said = {"name": name, "reason": f"{type(error).__name__}: {error}"}
        raise PydanticCustomError("type", "the class '{name}' cannot be imported: {reason}.", said) from error
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise PydanticCustomError("type", "'{name}' is no pydantic class.", {"name": name})
    return found


def _names(entry: EntryPoint) -> tuple[str, str, str]:
    return entry.name, entry.value, entry.value.replace(":", ".")


def schema_of_type(name: str) -> ReplySchema:
    """Return the schema of a class; see ``find_type``."""
    return ReplySchema(schema_=find_type(name).model_json_schema(), type_name=name)
