"""``run``: run a flow."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import BudgetReached, FlowError, Interrupted, SdgError

if TYPE_CHECKING:
    from sdg_prefect.cli.progress import Watcher
    from sdg_prefect.engine.outcome import Outcome
    from sdg_prefect.report.run_report import RunReport

_INTERRUPTED = 130
"""Exit status of a command that was stopped by a signal."""


def run(
    flow: opt.Flow,
    input_: opt.Input = None,
    output: opt.Output = None,
    model: opt.Model = None,
    api_base: opt.ApiBase = None,
    api_key_env: opt.ApiKeyEnv = None,
    models: opt.Models = None,
    storage: opt.Storage = None,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls in flight at most, for each endpoint.")] = None,
    shard_size: opt.ShardSize = None,
    limit: opt.Limit = None,
    budget: opt.Budget = None,
    budget_tokens: opt.BudgetTokens = None,
    set_: opt.Set = None,
    blocks: opt.Blocks = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Reuse nothing of earlier runs.")] = False,
    retry_rejects: Annotated[
        bool, typer.Option("--retry-rejects", help="Ask again for the rows that earlier runs rejected, and for no others.")
    ] = False,
    allow_rejects: Annotated[bool, typer.Option("--allow-rejects", help="Exit 0 even if rows were rejected.")] = False,
    keep_ids: Annotated[bool, typer.Option("--keep-ids", help="Keep the row ids in the output.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON on the last line of stdout.")] = False,
) -> None:
    """Run a flow over seeds. The same command again goes on where it stopped and pays nothing twice."""
    load_own_blocks(blocks)
    asked = RunOptions(
        flow=flow,
        input=input_,
        output=output,
        models_file=models,
        model=model,
        api_base=api_base,
        api_key_env=api_key_env,
        storage=storage,
        concurrency=concurrency,
        shard_size=shard_size,
        limit=limit,
        overrides=tuple(set_ or ()),
        fresh=fresh,
        retry_rejects=retry_rejects,
        allow_rejects=allow_rejects,
        keep_ids=keep_ids,
        budget=budget,
        budget_tokens=budget_tokens,
    )
    if input_ is None:
        raise FlowError("there are no seeds.", "Name them with --input FILE.")
    outcome = _watched(asked, prints_json=json_)
    if json_:
        _print_report(outcome.report)
    elif output is None:
        _print_rows(outcome)
    sys.exit(0 if outcome.is_success else 1)


def _watched(asked: RunOptions, *, prints_json: bool) -> Outcome:
    """Run, and show it; on the terminal as bars, elsewhere as lines."""
    from sdg_prefect.cli.progress import watch
    from sdg_prefect.engine.start import run as start

    with watch() as watcher:
        try:
            outcome = start(asked, watcher)
        except KeyboardInterrupt as error:
            _say_interrupted(error, watcher, prints_json=prints_json)
            interruption = error
        except SdgError as error:
            if error.report is not None:
                if not isinstance(error, BudgetReached):
                    watcher.say("failed. What was received is kept; the same command goes on from here.")
                if prints_json:
                    _print_report(error.report)
            raise
        else:
            watcher.end(outcome.report)
            return outcome
    if isinstance(interruption, Interrupted) and interruption.is_left_behind:
        # Threads that hang would keep the interpreter from ending.
        os._exit(_INTERRUPTED)
    sys.exit(_INTERRUPTED)


def _say_interrupted(interruption: KeyboardInterrupt, watcher: Watcher, *, prints_json: bool) -> None:
    """Say what was kept."""
    report = interruption.report if isinstance(interruption, Interrupted) else None
    if report is not None and report.error:
        watcher.say(report.error)
    calls = report.total.llm_calls if report is not None else 0
    kept = f"{calls:,} call{'s' * (calls != 1)} of this run paid for and kept" if calls else "What was received is kept"
    watcher.say(f"interrupted. {kept}; the same command goes on from here.")
    if report is not None and prints_json:
        _print_report(report)


def _print_report(report: RunReport) -> None:
    print(json.dumps(report.to_json(), ensure_ascii=False), flush=True)


def _print_rows(outcome: Outcome) -> None:
    from sdg_prefect.rows import without_ids

    for table in outcome.tables:
        for row in without_ids(table).to_pylist():
            print(json.dumps(row, ensure_ascii=False, default=str))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)
