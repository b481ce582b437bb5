"""``blocks`` and ``schema``: what there is to write."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.listing import Json, Name, Search, columns, says
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.errors import FlowError, did_you_mean


def blocks(
    name: Name = None,
    search: Search = None,
    family: Annotated[
        str | None,
        typer.Option("--family", help="Only those that stand under this heading of docs/blocks.md.", metavar="NAME"),
    ] = None,
    blocks_: opt.Blocks = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page that describes all of them.")] = False,
) -> None:
    """List the block types, or explain one."""
    from sdg_prefect.blocks import block_names, find_block
    from sdg_prefect.spec.schema import block_schema

    load_own_blocks(blocks_)
    if markdown and name is None:
        from sdg_prefect.blocks.reference import reference_page

        print(reference_page([cls for known in block_names() if (cls := find_block(known)) is not None]), end="")
        return
    if name is None:
        found = {known: cls for known in block_names() if (cls := find_block(known)) is not None}
        families = {one.family for one in found.values()}
        if not any(says(family, one, whole=True) for one in families):
            raise FlowError(f"there is no family '{family}' of blocks.", f"Known: {', '.join(sorted(families))}.")
        names = {
            known: _first_line(one)
            for known, one in found.items()
            if says(family, one.family, whole=True) and says(search, known, one.family, str(one.__doc__))
        }
        print(json.dumps(names, indent=1, ensure_ascii=False) if json_ else columns(names))
        return
    cls = find_block(name)
    if cls is None:
        near = did_you_mean(name, block_names())
        raise FlowError(f"unknown block type '{name}'.", near or "'python -m sdg_prefect blocks' lists them.")
    schema = block_schema(cls)
    print(
        json.dumps(schema, indent=1) if json_ else _block_text(name, cls.__doc__ or "", schema, "gen_kwargs" in cls.model_fields)
    )


def schema() -> None:
    """Print the JSON Schema of flow files, for editors."""
    from sdg_prefect.spec.schema import flow_schema

    print(json.dumps(flow_schema(), indent=1))


def _first_line(cls: Any) -> str:
    return str(cls.__doc__ or "").strip().split("\n")[0]


def _block_text(name: str, doc: str, schema: dict[str, Any], takes_sampling: bool) -> str:
    from inspect import cleandoc

    lines = [name, "", cleandoc(doc), "", "block_config:"]
    required = set(schema.get("required", ()))
    for field, about in schema["properties"].items():
        kinds = about.get("type") or [one.get("type", "") for one in about.get("anyOf", ())]
        kind = (kinds if isinstance(kinds, str) else " or ".join(map(str, kinds))) or "any"
        default = "required" if field in required else f"default {json.dumps(about.get('default'))}"
        lines.append(f"  {field}  ({kind}; {default})")
        lines.append(f"      {' '.join(str(about.get('description', '')).split())}")
    lines += ["", "gen_kwargs: sampling parameters of the OpenAI protocol."] if takes_sampling else []
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(blocks)
    app.command()(schema)
