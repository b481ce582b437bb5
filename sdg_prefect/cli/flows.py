"""``flows`` and ``new``: which flows there are, and a copy of one to start from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.cli.finding import find_flows, read_flows, read_one
from sdg_prefect.cli.listing import Json, Name, Search, columns, says

if TYPE_CHECKING:
    from sdg_prefect.spec.flow import FlowSpec


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

    found = find_flows(folder)
    read = [read_one(found, name)] if name is not None else [one for one in read_flows(found, say) if wanted(one[0], one[2])]
    described = {known: _description(path, spec) for known, path, spec in read}
    if json_:
        print(json.dumps(described, indent=1, ensure_ascii=False))
    elif name is not None:
        print("\n".join(_told(one) for one in described.values()))
    elif folder is not None:
        print(columns({key: f"{value['file']}  needs {', '.join(value['seeds'])}" for key, value in described.items()}))
    else:
        print(columns({key: value["description"] or value["file"] for key, value in described.items()}))


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
