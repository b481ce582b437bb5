"""``plan``: what a run will do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions

if TYPE_CHECKING:
    from sdg_prefect.engine.outlook import Outlook
    from sdg_prefect.plan.plan import Plan


def plan(
    flow: opt.Flow,
    input_: opt.Input = None,
    model: opt.Model = None,
    api_base: opt.ApiBase = None,
    models: opt.Models = None,
    storage: opt.Storage = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls in flight at most, for each endpoint.")] = None,
    shard_size: opt.ShardSize = None,
    limit: opt.Limit = None,
    budget: opt.Budget = None,
    budget_tokens: opt.BudgetTokens = None,
    set_: opt.Set = None,
    blocks: opt.Blocks = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a run will do and what it takes: blocks, columns, shards, calls, tokens, cost, time, and what is there already.

    Nothing is called.
    """
    from sdg_prefect.engine.preparing import prepare

    load_own_blocks(blocks)
    asked = RunOptions(
        flow=flow,
        input=input_,
        models_file=models,
        model=model,
        api_base=api_base,
        storage=storage,
        concurrency=concurrency,
        shard_size=shard_size,
        limit=limit,
        overrides=tuple(set_ or ()),
        budget=budget,
        budget_tokens=budget_tokens,
    )
    prepared = prepare(asked)
    for warning in prepared.plan.warnings:
        say(str(warning))
    outlook = _look_ahead(prepared.plan, asked) if input_ is not None else None
    if json_:
        print(json.dumps({"plan": str(prepared.plan), "outlook": outlook.to_json() if outlook else None}, ensure_ascii=False))
        return
    print(prepared.plan)
    if outlook is not None:
        print(outlook)
    elif prepared.tracking.seeds:
        print(f"  seeds need: {', '.join(prepared.tracking.seeds)}")


def _look_ahead(plan: Plan, asked: RunOptions) -> Outlook:
    """Look into the seeds and the store, for which the heavy libraries are needed."""
    from sdg_prefect.engine.looking import look_ahead

    return look_ahead(plan, asked)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)
