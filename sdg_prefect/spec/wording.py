"""What validation finds, in words: which key, what it has to be, and what was probably meant."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError

from sdg_prefect.blocks.files import REPORTED
from sdg_prefect.errors import did_you_mean

SECRETS = frozenset(
    "api_key apikey key token password secret authorization auth_token access_token bearer bearer_token x_api_key".split()
)
"""Names under which people write keys."""

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""What a value has to be, by pydantic's type of error."""
_QUOTES = "Put it in quotes: YAML takes it for something else without."
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that validation found."""

    message: str
    hint: str
    path: tuple[str | int, ...]
    """The key that is meant, from the root of the value."""
    is_unknown: bool = False
    """True for a key that nobody knows."""


def explain(error: ValidationError, kind: type[BaseModel], value: Any, field: str = "field") -> list[Finding]:
    """Turn what pydantic says about a mapping into findings, one for each mistake.

    Args:
        error: What pydantic raised.
        kind: The class that the mapping should have become.
        value: The mapping.
        field: What a key of it is called.
    """
    by_path: dict[tuple[str | int, ...], list[Any]] = {}
    for detail in error.errors(include_url=False):
        if detail["type"] != REPORTED:
            by_path.setdefault(_written_path(detail, value), []).append(detail)
    unknown = [str(path[-1]) for path, found in by_path.items() if path and found[0]["type"] == "extra_forbidden"]
    findings = []
    for path, details in by_path.items():
        if details[0]["type"] == "missing" and did_you_mean(str(path[-1]), unknown).startswith("Did"):
            # The misspelt key is told, with the right one.
            continue
        words = _words(details, _shown(path), _fields_at(kind, path), field)
        findings.append(Finding(*words, path, is_unknown=details[0]["type"] == "extra_forbidden"))
    return findings


def is_secret(key: object) -> bool:
    """True for a name under which people write keys."""
    return str(key).lower().replace("-", "_") in SECRETS


def shown_value(value: object) -> str:
    """Return a value as it may stand in a message: short, and in the words of YAML."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return "a list"
    text = value.isoformat() if isinstance(value, date) else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _words(details: Sequence[Any], key: str, known: Iterable[str], field: str) -> tuple[str, str]:
    """Say what is wrong with a key, and what it could be."""
    detail = details[0]
    kind = detail["type"]
    if kind == "extra_forbidden":
        if is_secret(detail["loc"][-1]) and not isinstance(detail["input"], int | float):
            return f"'{key}': a key must not stand in a file.", "Name its environment variable: api_key_env, under 'models:'."
        return f"unknown {field} '{key}'.", did_you_mean(str(detail["loc"][-1]), known)
    if kind == "missing":
        return f"the {field} '{key}' is missing.", ""
    if kind == "literal_error":
        allowed = str(detail["ctx"]["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        return f"'{key}' cannot be {shown_value(detail['input'])}.", did_you_mean(str(detail["input"]), allowed)
    if kind in ("string_too_short", "too_short") and detail["ctx"].get("min_length") == 1:
        return f"'{key}' must not be empty.", ""
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"'{key}' has to be {words} {detail['ctx'][bound]:g}, not {shown_value(detail['input'])}.", ""
    wanted = list(dict.fromkeys(_WANTED[one["type"]] for one in details if one["type"] in _WANTED))
    if wanted:
        what = f"'{key}' has" if key else "has"
        is_unquoted = wanted == ["text"] and isinstance(detail["input"], bool | int | float | date)
        return f"{what} to be {' or '.join(wanted)}, not {shown_value(detail['input'])}.", _QUOTES if is_unquoted else ""
    message = str(detail["msg"]).removeprefix("Value error, ")
    message = message[0].lower() + message[1:] if message[:2].istitle() or message[1:2].islower() else message
    return (f"{key}: " if key else "") + message + ("" if message.endswith((".", "?")) else "."), ""


def _written_path(detail: Any, value: Any) -> tuple[str | int, ...]:
    """Return the keys of a location that a user wrote, or should have; pydantic adds the names of types."""
    path: list[str | int] = []
    for part in detail["loc"]:
        keys = value if isinstance(value, Mapping) else range(len(value)) if isinstance(value, (list, tuple)) else ()
        if part in keys:
            value = value[part]
        elif detail["type"] != "missing" or part != detail["loc"][-1]:
            continue
        path.append(part)
    return tuple(path)


def _shown(path: Sequence[str | int]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _fields_at(kind: type[BaseModel], path: Sequence[str | int]) -> Iterable[str]:
    """Return the fields that stand beside the last part of a path."""
    for part in path[:-1]:
        if isinstance(part, int):
            continue
        field = kind.model_fields.get(part)
        inner = next(_models_in(field.annotation), None) if field else None
        if inner is None:
            return ()
        kind = inner
    return kind.model_fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
