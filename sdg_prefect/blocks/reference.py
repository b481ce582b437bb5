"""The page that describes every block type, made of what the classes say about themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.frozen import field_docs

FAMILIES = (
    "Ask a model",
    "Judge and choose",
    "Sample and compute values",
    "Parse a column",
    "Documents and embeddings",
    "Keep or leave out rows",
    "Duplicates and overlaps",
    "Columns",
    "Data for training",
    "Code",
    "Blocks made of blocks",
)
"""The headings of the page, in order; others follow by name."""

_INTRODUCTION = """\
# Blocks

This page is made of the classes by `python -m sdg_prefect blocks --markdown`. What rejects, seeds and shards are is said in
[concepts](concepts.md#words); how a flow file is written, in [flow files](flow-files.md).

The fields of each block stand under `block_config`. All have `block_name` besides, the name that is shown everywhere. *Required*
fields have no default. `python -m sdg_prefect blocks NAME` prints the same for every block that is installed, yours included.

Some blocks need a library that only they use, which comes with an extra. `check` says which one is missing;
`pip install 'sdg-prefect[blocks]'` brings the small ones.

Blocks that ask a model and have no field for a sampling parameter take it under `gen_kwargs`, beside `block_config`.
"""


def reference_page(classes: Iterable[type[Block]]) -> str:
    """Return the reference of block types as Markdown.

    Args:
        classes: The block types, in any order.
    """
    by_family: dict[str, list[type[Block]]] = {}
    for cls in sorted(classes, key=lambda one: one.type_name):
        by_family.setdefault(cls.family, []).append(cls)
    known = [family for family in FAMILIES if family in by_family]
    parts = [_INTRODUCTION]
    for family in [*known, *sorted(set(by_family) - set(known))]:
        parts.append(f"## {family}\n")
        parts += [_section(cls) for cls in by_family[family]]
    return "\n".join(parts)


def _section(cls: type[Block]) -> str:
    lines = [f"### {cls.type_name}", "", _markdown(cleandoc(cls.__doc__ or "")), "", *_table(cls)]
    facts = " ".join(_facts(cls))
    lines += [facts, ""] if facts else []
    if cls.example is not None:
        lines += _example(cls, cls.example)
    return "\n".join(lines)


def _markdown(text: str) -> str:
    """Turn the marks of a docstring into those of Markdown."""
    return text.replace("``", "`")


def _table(cls: type[Block]) -> Iterator[str]:
    docs = field_docs(cls)
    fields = {name: field for name, field in cls.model_fields.items() if name not in ("block_name", "gen_kwargs")}
    if not fields:
        return
    yield "| field | says | default |"
    yield "|---|---|---|"
    for name, field in sorted(fields.items(), key=lambda one: not one[1].is_required()):
        said = _markdown(" ".join(docs.get(name, field.description or "").split())).replace("|", "\\|")
        yield f"| `{name}` | {said} | {_default(field)} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or isinstance(value, BaseModel) or (isinstance(value, (Mapping, tuple, list, frozenset)) and not value):
        return ""
    return f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _facts(cls: type[Block]) -> Iterator[str]:
    """Say what the attributes of a class mean for a user."""
    if cls.scope == "all":
        yield "Waits for all rows; with `scope: shard` beside it, it works on each shard by itself."
    if cls.leaves_out != "nothing":
        yield f"Rows that it leaves out count as {cls.leaves_out}."
    if cls.makes_rows:
        yield "A row may give several."


def _example(cls: type[Block], example: Example) -> Iterator[str]:
    item = [{"block_type": cls.type_name, **_plain(example.item)}]
    yield from _fence("yaml", yaml.dump(item, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))
    for name, text in example.files.items():
        yield f"`{name}`:"
        yield ""
        yield from _fence(_language(name), text)
    if example.output is None or not example.rows:
        return
    yield "makes of"
    yield ""
    yield from _fence("jsonl", _lines(example.rows))
    yield "these rows:" if example.output else "no rows."
    yield ""
    if example.output:
        yield from _fence("jsonl", _lines(example.output))


def _plain(value: Any) -> Any:
    """Return a value as YAML has it: lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False, default=str) for row in rows)


def _fence(language: str, text: str) -> Iterator[str]:
    yield f"```{language}"
    yield text.rstrip("\n")
    yield "```"
    yield ""


def _language(name: str) -> str:
    """Return what a file is written in, as a fence of Markdown says it."""
    end = re.sub(r"^.*\.", "", name)
    return end if end in ("yaml", "json", "jsonl") else "text"


class _Dumper(yaml.SafeDumper):
    """Writes short lists and mappings on one line."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = _is_short(mapping)
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = _is_short(sequence)
        return node

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _is_short(value: Any) -> bool:
    """True for what fits on a line and is no block."""
    is_block = isinstance(value, Mapping) and "block_name" in value
    is_item = isinstance(value, list) and any(isinstance(one, Mapping) and "block_type" in one for one in value)
    return (
        not (is_block or is_item) and len(json.dumps(value, ensure_ascii=False, default=str)) < 90 and "block_type" not in value
    )
