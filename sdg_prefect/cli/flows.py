"""``flows`` and ``new``: which flows there are, and a copy of one to start from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.cli.listing import Json, Name, Search, columns, says
from sdg_prefect.errors import FlowError, did_you_mean

if TYPE_CHECKING:
    from sdg_prefect.spec.flow import FlowSpec

_HERE = Path("flows")


def flows(
    name: Name = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where to look for flow files, in place of the ready flows and the folder 'flows'.", show_default=False
        ),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="Only flows with this tag.", metavar="TAG")] = None,
    author: Annotated[str | None, typer.Option("--author", help="Only flows of this author.", metavar="NAME")] = None,
    search: Search = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page that describes all ready flows.")] = False,
) -> None:
    """List the ready flows and those in the folder 'flows', or explain one."""
    if markdown:
        from sdg_prefect.spec.flow_reference import flows_page
        from sdg_prefect.spec.ready import ready_flows

        print(flows_page(ready_flows()), end="")
        return

    def wanted(known: str, spec: FlowSpec) -> bool:
        about = spec.about
        return says(tag, *about.tags, whole=True) and says(author, about.author) and says(search, *_words(known, spec))

    found = _find(folder)
    if name is not None and name not in found:
        where = "ready flow" if folder is None else "flow"
        raise FlowError(f"there is no {where} '{name}'{f' in {folder}' if folder else ''}.", did_you_mean(name, found))
    described = {known: _description(path, spec) for known, path, spec in _read(found, name) if name or wanted(known, spec)}
    if json_:
        print(json.dumps(described, indent=1, ensure_ascii=False))
    elif name is not None:
        print(_told(described[name]))
    elif folder is not None:
        print(columns({key: f"{value['file']}  needs {', '.join(value['seeds'])}" for key, value in described.items()}))
    else:
        print(columns({key: value["description"] or value["file"] for key, value in described.items()}))


def _find(folder: Path | None) -> dict[str, Path]:
    """Return the flow files by the names that people use for them."""
    from sdg_prefect.spec.ready import ready_flows, ready_folder

    if folder is not None:
        if not folder.is_dir():
            raise FlowError(f"there is no folder '{folder}'.", "Name the one with the flows: --folder FOLDER.")
        return _flows_in(folder)
    own = _flows_in(_HERE) if _HERE.is_dir() and _HERE.resolve() != ready_folder() else {}
    return {**ready_flows(), **own}


def _read(found: Mapping[str, Path], name: str | None) -> Iterator[tuple[str, Path, FlowSpec]]:
    """Read the flow of a name, or all of them; of these, one that is wrong is told and passed over."""
    from sdg_prefect.spec.reader import read_flow

    for known, path in found.items():
        if name in (None, known):
            try:
                yield known, path, read_flow(path)
            except FlowError as error:
                if name is not None:
                    raise
                say(str(error))


def _flows_in(folder: Path) -> dict[str, Path]:
    return {
        path.resolve().parent.name if path.stem == "flow" else path.stem: path
        for path in sorted(folder.rglob("*.yaml"))
        if _is_flow(path)
    }


def _is_flow(path: Path) -> bool:
    """True for a YAML file with blocks or pipelines at its root."""
    from sdg_prefect.spec.positions import read_document

    data = read_document(path.read_text("utf-8", "replace"), str(path)).data
    if isinstance(data, list):
        return bool(data) and isinstance(data[0], dict) and "block_type" in data[0]
    return isinstance(data, dict) and bool({"blocks", "pipelines"} & set(data))


def _description(path: Path, spec: FlowSpec) -> dict[str, Any]:
    """Return what there is to say about a flow."""
    from sdg_prefect.spec.ready import first_words, page_of
    from sdg_prefect.spec.tracking import track_columns

    tracking = track_columns(spec, None)
    required = spec.inputs.required_columns if spec.inputs else ()
    models = spec.about.recommended_models
    return {
        "file": str(path),
        "name": spec.name,
        "id": spec.about.id,
        "description": spec.description or first_words(page_of(path)),
        "version": spec.about.version,
        "author": spec.about.author,
        "license": spec.about.license,
        "tags": list(spec.about.tags),
        "models": sorted(spec.model_ids()),
        "recommended model": models.default if models else "",
        "other models": [*models.compatible, *models.experimental] if models else [],
        "parameters": {name: parameter.description for name, parameter in spec.parameters.items()},
        "blocks": [item.name for item, _ in spec.blocks()],
        "seeds": sorted({*tracking.seeds, *required}),
        "optional seeds": list(spec.inputs.optional_columns) if spec.inputs else [],
        "output": list(tracking.output.names),
    }


def _told(described: Mapping[str, Any]) -> str:
    """Write what there is to say about a flow, a line for each fact."""
    return "\n".join(
        f"{key}: {', '.join(value) if isinstance(value, (list, dict)) else value}" for key, value in described.items() if value
    )


def _words(known: str, spec: FlowSpec) -> tuple[str, ...]:
    return known, spec.name, spec.description, spec.about.id, *spec.about.tags


def new(
    folder: Annotated[Path, typer.Argument(help="A new folder for the flow.", show_default=False)],
    source: Annotated[str, typer.Option("--from", help="The ready flow to copy; 'flows' lists them.", metavar="NAME")],
) -> None:
    """Copy a ready flow, with its prompts, some seeds and its page, to start one's own from."""
    from sdg_prefect.spec.ready import copy_flow

    flow = copy_flow(source, folder)
    print(f"{flow} is yours to change. Try it on its seeds, on the simulated model:")
    print(f"  python -m sdg_prefect run {flow} --input {folder / 'seeds.jsonl'} --output {source}.jsonl")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(flows)
    app.command()(new)
