"""The page that describes every ready flow, made of the flows and of what their pages say of cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from sdg_prefect.blocks.base import Block
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.ready import first_words, page_of, section
from sdg_prefect.spec.tracking import track_columns

_INTRODUCTION = """\
# Ready flows

This page is made of the flows in [flows](../flows/README.md) by `python -m sdg_prefect flows --markdown`. They come with the
package: `python -m sdg_prefect flows` lists them, and `python -m sdg_prefect new FOLDER --from NAME` copies one, with its prompts
and some seeds, to start from. What its steps are for stands on the page of each.
"""
_COST = "What it costs"


def flows_page(flows: Mapping[str, Path]) -> str:
    """Return the reference of flows as Markdown.

    Args:
        flows: The files of the flows, by name.
    """
    read = {name: read_flow(path) for name, path in sorted(flows.items())}
    parts = [_INTRODUCTION, "| flow | from the columns | to the columns |", "|---|---|---|"]
    parts += [f"| [{name}](#{name}) | {_listed(_seeds(spec))} | {_listed(_output(spec))} |" for name, spec in read.items()]
    for name, spec in read.items():
        parts += ["", *_section(name, spec, page_of(flows[name]))]
    return "\n".join(parts) + "\n"


def _section(name: str, spec: FlowSpec, page: str) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    yield f"{first_words(page) or spec.description} Its page: [flows/{name}](../flows/{name}/README.md)."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for title, said in _facts(spec):
        yield f"| {title} | {said} |"
    if spec.parameters:
        yield ""
        yield "| parameter | says | default |"
        yield "|---|---|---|"
        for known, parameter in spec.parameters.items():
            yield f"| `{known}` | {' '.join(parameter.description.split())} | {_default(parameter.default)} |"
    if cost := section(page, _COST):
        yield ""
        yield f"**{_COST}.** {cost}"


def _facts(spec: FlowSpec) -> Iterator[tuple[str, str]]:
    yield "needs", _listed(_seeds(spec))
    if spec.inputs and spec.inputs.optional_columns:
        yield "takes too", _listed(spec.inputs.optional_columns)
    yield "leaves", _listed(_output(spec))
    yield "models", _listed(sorted(spec.model_ids()))
    yield "blocks", " → ".join(f"[{item.name}]({_reference(block)})" for item, block in spec.blocks())
    extras = sorted({extra for _, block in spec.blocks() for extra in block.needed_packages().values()})
    if extras:
        yield "needs installed", f"`pip install 'sdg-prefect[{','.join(extras)}]'`"
    if spec.about.tags:
        yield "tags", ", ".join(spec.about.tags)


def _reference(block: Block) -> str:
    return f"blocks.md#{type(block).type_name.lower()}"


def _seeds(spec: FlowSpec) -> tuple[str, ...]:
    required = spec.inputs.required_columns if spec.inputs else ()
    return tuple(dict.fromkeys((*required, *sorted(track_columns(spec, None).seeds))))


def _output(spec: FlowSpec) -> tuple[str, ...]:
    return track_columns(spec, None).output.names


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _default(value: object) -> str:
    if isinstance(value, (list, tuple)) and len(json.dumps(value)) > 40:
        return f"{len(value)} of them"
    return f"`{json.dumps(value, ensure_ascii=False)}`"
