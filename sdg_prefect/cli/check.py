"""``check``: everything that is wrong with a flow, at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.cli.options import Blocks, takes
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError, Problem

if TYPE_CHECKING:
    from sdg_prefect.spec.flow import FlowSpec


@takes(
    "flow",
    "input",
    "pdf",
    "model",
    "api_base",
    "models",
    "target_rows",
    "max_candidates",
    "overrides",
    "parameters",
    "date",
    "timezone",
    "partition",
)
def check(
    asked: RunOptions,
    blocks: Blocks = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the problems as JSON.")] = False,
) -> None:
    """Say everything that is wrong with a flow, with file and line. Nothing is called."""
    from sdg_prefect.engine.preparing import prepare

    load_own_blocks(blocks)
    try:
        prepared = prepare(asked, needs_endpoints=False)
    except FlowError as error:
        if json_:
            print(json.dumps([_as_json(problem) for problem in error.problems], ensure_ascii=False))
        raise
    for warning in prepared.plan.warnings:
        say(str(warning))
    if json_:
        print(json.dumps([_as_json(warning) for warning in prepared.plan.warnings], ensure_ascii=False))
        return
    for problem in [*_without_endpoint(prepared.spec, asked), *prepared.spec.missing_packages()]:
        say(str(replace(problem, warning=True)))
    steps = prepared.plan.labels()
    seeds = list(prepared.tracking.seeds)
    needs = f"; the seeds need {', '.join(seeds)}" if seeds else ""
    print(f"{asked.flow}: {prepared.plan.name} is fine: {len(steps)} block{'s' * (len(steps) != 1)}{needs}.", file=sys.stdout)


def _without_endpoint(spec: FlowSpec, asked: RunOptions) -> Sequence[Problem]:
    """Say which models cannot be called yet: they may be named when the flow is run."""
    from sdg_prefect.models.endpoint import resolve_endpoints

    try:
        resolve_endpoints(spec.model_ids(), spec.models, asked.model, asked.api_base)
    except FlowError as error:
        return error.problems
    return ()


def _as_json(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "message": problem.message,
        "hint": problem.hint,
        "warning": problem.warning,
    }


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(check)
