"""Frozen values and the hashes of their content, from which every key is made."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import textwrap
from itertools import pairwise
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

PLAIN = (str, int, bool, type(None))
"""What orjson writes as json does, if it writes it at all."""
_LEVELS = 8
"""Lists and objects within one another that are looked through; what is deeper is left to json."""
_LEAST_FLOAT, _MOST_FLOAT = 1e-4, 1e15
"""Between these, orjson writes a number with a point as json does: without an exponent."""


class Frozen(BaseModel):
    """A value that a user wrote: strict, immutable, documented by the strings under its fields.

    The strings are read from the source when somebody asks for them, not at each import: see ``documented_schema``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


def canonical(value: Any) -> bytes:
    """Write a JSON-like value in the one way that equal values share: sorted keys, no spaces, UTF-8."""
    if _is_plain(value):
        # Most rows and requests are like this, and orjson writes such values as json does, ten times as fast.
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # an integer of more than 64 bits, half a character, a key that is not text
            pass
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        "utf-8", "surrogatepass"
    )


def _is_plain(value: Any, levels: int = _LEVELS) -> bool:
    """True for what orjson writes as json does, if it writes it at all."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is float:
        return bool(value == 0 or _LEAST_FLOAT <= abs(value) < _MOST_FLOAT)
    elif kind not in (list, tuple):
        return kind in PLAIN
    return levels > 0 and all(type(item) in PLAIN or _is_plain(item, levels - 1) for item in value)


def digest(*parts: Any, size: int = 16) -> str:
    """Hash JSON-like parts to a hex string of ``2 * size`` characters (BLAKE2b, RFC 7693)."""
    return hashlib.blake2b(canonical(parts), digest_size=size).hexdigest()


def field_docs(cls: type[BaseModel]) -> dict[str, str]:
    """Return the strings under the fields of a class, those of its bases included."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            docs |= _docs_in_source(base)
    return {name: docs[name] for name in cls.model_fields if name in docs}


def _docs_in_source(cls: type[BaseModel]) -> dict[str, str]:
    """Read the string that follows each annotated name of a class body (PEP 257's attribute docstrings)."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    docs = {}
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            text = getattr(after.value, "value", None)
            if isinstance(text, str):
                docs[field.target.id] = inspect.cleandoc(text)
    return docs


def documented_schema(cls: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a class, with the strings under its fields and under those of the classes in it."""
    schema = cls.model_json_schema()
    known = {found.__name__: found for found in _descendants(Frozen)}
    for name, part in [(cls.__name__, schema), *schema.get("$defs", {}).items()]:
        owner = cls if part is schema else known.get(name)
        for field, doc in field_docs(owner).items() if owner else ():
            if field in part.get("properties", {}):
                part["properties"][field].setdefault("description", doc)
    return schema


def _descendants(cls: type[BaseModel]) -> list[type[BaseModel]]:
    return [found for child in cls.__subclasses__() for found in (child, *_descendants(child))]
