"""``blocks``, ``flows``, ``schema``: what there is to write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.errors import FlowError, did_you_mean

if TYPE_CHECKING:
    from sdg_prefect.spec.flow import FlowSpec

Name = Annotated[str | None, typer.Argument(help="One of them, in full.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


Search = Annotated[str | None, typer.Option("--search", help="Only those that say these words of themselves.", metavar="WORDS")]


def blocks(
    name: Name = None,
    search: Search = None,
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
        names = {known: _first_line(find_block(known)) for known in block_names()}
        names = {
            known: line for known, line in names.items() if _says(search, known, str(getattr(find_block(known), "__doc__", "")))
        }
        print(json.dumps(names, indent=1) if json_ else _columns(names))
        return
    cls = find_block(name)
    if cls is None:
        near = did_you_mean(name, block_names())
        raise FlowError(f"unknown block type '{name}'.", near or "'python -m sdg_prefect blocks' lists them.")
    schema = block_schema(cls)
    print(
        json.dumps(schema, indent=1) if json_ else _block_text(name, cls.__doc__ or "", schema, "gen_kwargs" in cls.model_fields)
    )


def flows(
    name: Name = None,
    folder: Annotated[Path, typer.Option(help="Where to look for flow files.")] = Path("flows"),
    tag: Annotated[str | None, typer.Option("--tag", help="Only flows with this tag.", metavar="TAG")] = None,
    author: Annotated[str | None, typer.Option("--author", help="Only flows of this author.", metavar="NAME")] = None,
    search: Search = None,
    json_: Json = False,
) -> None:
    """List the flows in a folder, or explain one."""
    from sdg_prefect.spec.reader import read_flow

    if not folder.is_dir():
        raise FlowError(f"there is no folder '{folder}'.", "Name the one with the flows: --folder FOLDER.")
    found = {
        path.resolve().parent.name if path.stem == "flow" else path.stem: path
        for path in sorted(folder.rglob("*.yaml"))
        if _is_flow(path)
    }
    if name is not None and name not in found:
        raise FlowError(f"there is no flow '{name}' in {folder}.", did_you_mean(name, found))
    described: dict[str, dict[str, Any]] = {}
    for known, path in found.items():
        if name in (None, known):
            try:
                spec = read_flow(path)
            except FlowError as error:
                if name is not None:
                    raise
                say(str(error))
                continue
            about = spec.about
            is_wanted = (
                _says(tag, *about.tags, whole=True) and _says(author, about.author) and _says(search, *_words(known, spec))
            )
            if is_wanted or name is not None:
                described[known] = _description(path, spec)
    if json_:
        print(json.dumps(described, indent=1, ensure_ascii=False))
    elif name is not None:
        print(
            "\n".join(
                f"{key}: {', '.join(value) if isinstance(value, list) else value}"
                for key, value in described[name].items()
                if value
            )
        )
    else:
        print(_columns({key: f"{value['file']}  needs {', '.join(value['seeds'])}" for key, value in described.items()}))


def _description(path: Path, spec: FlowSpec) -> dict[str, Any]:
    """Return what there is to say about a flow."""
    from sdg_prefect.spec.tracking import track_columns

    tracking = track_columns(spec, None)
    required = spec.inputs.required_columns if spec.inputs else ()
    models = spec.about.recommended_models
    return {
        "file": str(path),
        "name": spec.name,
        "id": spec.about.id,
        "description": spec.description,
        "version": spec.about.version,
        "author": spec.about.author,
        "license": spec.about.license,
        "tags": list(spec.about.tags),
        "recommended model": models.default if models else "",
        "other models": [*models.compatible, *models.experimental] if models else [],
        "blocks": [item.name for item, _ in spec.blocks()],
        "seeds": sorted({*tracking.seeds, *required}),
        "optional seeds": list(spec.inputs.optional_columns) if spec.inputs else [],
        "output": list(tracking.output.names),
    }


def _words(known: str, spec: FlowSpec) -> tuple[str, ...]:
    return known, spec.name, spec.description, spec.about.id, *spec.about.tags


def _says(wanted: str | None, *texts: str, whole: bool = False) -> bool:
    """True if nothing is wanted, or one of the texts holds or, as a whole, is it; large and small letters are the same."""
    if wanted is None:
        return True
    said = [text.casefold() for text in texts]
    return wanted.casefold() in said if whole else any(wanted.casefold() in text for text in said)


def schema() -> None:
    """Print the JSON Schema of flow files, for editors."""
    from sdg_prefect.spec.schema import flow_schema

    print(json.dumps(flow_schema(), indent=1))


def _is_flow(path: Path) -> bool:
    """True for a YAML file with blocks or pipelines at its root."""
    from sdg_prefect.spec.positions import read_document

    data = read_document(path.read_text("utf-8", "replace"), str(path)).data
    if isinstance(data, list):
        return bool(data) and isinstance(data[0], dict) and "block_type" in data[0]
    return isinstance(data, dict) and bool({"blocks", "pipelines"} & set(data))


def _first_line(cls: Any) -> str:
    return str(cls.__doc__ or "").strip().split("\n")[0]


def _columns(entries: dict[str, str]) -> str:
    width = max((len(key) for key in entries), default=0) + 2
    return "\n".join(f"{key:<{width}}{value}" for key, value in entries.items())


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
    app.command()(flows)
    app.command()(schema)
