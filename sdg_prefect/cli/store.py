"""``store``: what is in a store, what takes how much room, what can go, what is damaged."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.ages import seconds
from sdg_prefect.cli.console import say
from sdg_prefect.errors import FlowError, did_you_mean
from sdg_prefect.report.inert import plain

if TYPE_CHECKING:
    from sdg_prefect.store.housekeeping.pruning import Pruning, Wanted
    from sdg_prefect.store.housekeeping.survey import Survey

store = typer.Typer(help="What a store holds, and removing what is no longer wanted.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@store.callback(invoke_without_command=True)
def runs(context: typer.Context, storage: opt.Storage = None, json_: Json = False) -> None:
    """List the runs of the store, or do one of the commands."""
    context.obj = storage
    if context.invoked_subcommand is None:
        list_(context, storage, json_)


@store.command("list")
def list_(context: typer.Context, storage: opt.Storage = None, json_: Json = False) -> None:
    """List the runs: what each did, what it cost, and the room that only it takes. The newest is last."""
    from sdg_prefect.cli.store_text import runs_text
    from sdg_prefect.store.housekeeping.holdings import run_entries

    entries = run_entries(_survey(context, storage))
    if json_:
        print(json.dumps([entry.to_json() for entry in entries], ensure_ascii=False))
    else:
        print(plain(runs_text(entries)))


@store.command()
def size(context: typer.Context, storage: opt.Storage = None, json_: Json = False) -> None:
    """Say what takes how much room, by block, and when it was last used."""
    from sdg_prefect.cli.store_text import sizes_text
    from sdg_prefect.store.housekeeping.holdings import holdings, total

    survey = _survey(context, storage)
    found = holdings(survey)
    if json_:
        files, bytes_ = total(found)
        parts = [holding.to_json() for holding in found]
        print(json.dumps({"storage": survey.root.uri, "files": files, "size": bytes_, "parts": parts}, ensure_ascii=False))
    else:
        print(plain(sizes_text(found)))


@store.command()
def prune(
    context: typer.Context,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help="What no run has used for so long: 30d, 12h, 90m, 2w.", metavar="AGE"),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option("--run", help="What only this run refers to, and its reports. May be given several times.", metavar="RUN"),
    ] = None,
    unreferenced: Annotated[bool, typer.Option("--unreferenced", help="What crashes and replaced records left behind.")] = False,
    damaged: Annotated[bool, typer.Option("--damaged", help="What was found damaged and set aside.")] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="With --older-than or --run: completions too, though they were paid for.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it. Without this, only say what would go.")] = False,
    storage: opt.Storage = None,
    json_: Json = False,
) -> None:
    """Remove what is no longer wanted. What a run that is on may need stays, and so do completions without --ledger."""
    from sdg_prefect.cli.store_text import pruning_json, pruning_text
    from sdg_prefect.store.housekeeping.paid import count_paid
    from sdg_prefect.store.housekeeping.pruning import Wanted, choose, remove

    if not (older_than or run or unreferenced or damaged):
        raise FlowError("nothing was said to be removed.", "Name it: --older-than 30d, --run RUN, --unreferenced or --damaged.")
    if ledger and not (older_than or run):
        raise FlowError("--ledger says of --older-than or --run that completions may go too.", "Give one of them.")
    since = None if older_than is None else time.time() - seconds(older_than, "--older-than")
    wanted = Wanted(since, tuple(run or ()), unreferenced, damaged, ledger)
    survey = _survey(context, storage)
    _check_runs(survey, wanted)
    pruning = choose(survey, wanted)
    going, staying = count_paid(survey.root, pruning.ledger_files), count_paid(survey.root, pruning.paid)
    if not json_:
        print(plain(pruning_text(pruning, going, staying, survey.root.uri)))
    gone = remove(survey.root, pruning.going.values()) if yes else None
    if json_:
        print(json.dumps(pruning_json(pruning, going, staying, survey.root.uri, gone), ensure_ascii=False))
    elif pruning.going:
        _say_end(pruning, gone)


def _say_end(pruning: Pruning, gone: Any) -> None:
    if gone is None:
        say("nothing was removed yet; --yes removes it.")
    elif len(gone) < len(pruning.going):
        say(f"removed, but for {len(pruning.going) - len(gone):,} files that a run which has begun meanwhile may need.")
    else:
        say("removed.")


@store.command()
def verify(context: typer.Context, storage: opt.Storage = None, json_: Json = False) -> None:
    """Read everything and say what is damaged. Exits with 1 if something is."""
    from sdg_prefect.cli.store_text import findings_text
    from sdg_prefect.store.housekeeping.verifying import verify as read_all

    survey = _survey(context, storage)
    verified = read_all(survey)
    if json_:
        print(json.dumps(verified.to_json(), ensure_ascii=False))
    else:
        print(plain(findings_text(verified)))
    sys.exit(1 if verified.findings else 0)


def _survey(context: typer.Context, storage: str | None) -> Survey:
    """Look at the store.

    Raises:
        FlowError: There is none.
    """
    from sdg_prefect.engine.references import place_of
    from sdg_prefect.store.housekeeping.survey import Survey
    from sdg_prefect.store.root import Root

    root = Root.chosen(place_of(storage or context.obj))
    survey = Survey.of(root)
    if not survey.files:
        raise FlowError(f"there is no store at {root.uri}.", "Name another one with --storage.")
    return survey


def _check_runs(survey: Survey, wanted: Wanted) -> None:
    """Refuse runs that are not there, or that are on."""
    from sdg_prefect.store.housekeeping.guard import Guard

    living = Guard.of(survey.root).living if wanted.run_ids else {}
    for run_id in wanted.run_ids:
        if run_id not in survey.uses:
            raise FlowError(f"the store {survey.root.uri} has no run '{run_id}'.", did_you_mean(run_id, survey.uses))
        if run_id in living:
            raise FlowError(f"run {run_id} is on.", "Wait for its end, or stop it first.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(store, name="store")
