"""``plan``: what a run will do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.cli.options import Blocks, takes
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError, StoreError
from sdg_prefect.report.inert import plain

if TYPE_CHECKING:
    from sdg_prefect.engine.outlook import Outlook
    from sdg_prefect.plan.plan import Plan


_OF_RUNS = {"api_key_env", "fresh", "retry_rejects", "allow_rejects", "allow_missed", "keep_ids"}
"""Options that change nothing of what is told."""


@takes(*(name for name in RunOptions.model_fields if name not in _OF_RUNS))
def plan(
    asked: RunOptions,
    blocks: Blocks = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", help="Draw the flow into a file too: .svg or .mmd (Mermaid).", metavar="FILE", dir_okay=False),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a run will do and what it takes: blocks, columns, shards, calls, tokens, cost, time, and what is there already.

    Nothing is called.
    """
    from sdg_prefect.engine.preparing import prepare

    if picture is not None and picture.suffix not in (".svg", ".mmd"):
        raise FlowError(
            f"--picture: '{picture.suffix}' is not a known kind of picture.", "Name a file that ends in .svg or .mmd."
        )
    load_own_blocks(blocks)
    prepared = prepare(asked)
    asked = prepared.options
    for warning in prepared.plan.warnings:
        say(str(warning))
    if picture is not None:
        _draw(prepared.plan, picture)
    outlook = _look_ahead(prepared.plan, asked) if asked.input is not None else None
    if json_:
        print(json.dumps({"plan": str(prepared.plan), "outlook": outlook.to_json() if outlook else None}, ensure_ascii=False))
        return
    print(plain(str(prepared.plan)))
    if outlook is not None:
        print(outlook)
    elif prepared.tracking.seeds:
        print(f"  seeds need: {', '.join(prepared.tracking.seeds)}")


def _look_ahead(plan: Plan, asked: RunOptions) -> Outlook:
    """Look into the seeds and the store, for which the heavy libraries are needed."""
    from sdg_prefect.engine.looking import look_ahead

    doubts: list[str] = []
    outlook = look_ahead(plan, asked, doubts)
    for doubt in doubts:
        say(doubt)
    return outlook


def _draw(plan: Plan, picture: Path) -> None:
    from sdg_prefect.plan.describing import describe
    from sdg_prefect.report.mermaid import mermaid
    from sdg_prefect.report.picture import flow_svg

    drawn = flow_svg(describe(plan)) if picture.suffix == ".svg" else mermaid(describe(plan))
    try:
        picture.write_text(str(drawn), "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {picture}: {error.strerror or error}.") from error
    say(f"picture: {picture}")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)
