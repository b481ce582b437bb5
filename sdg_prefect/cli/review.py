"""``review``: look at the rows that wait for a decision, and decide."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.errors import FlowError, did_you_mean
from sdg_prefect.report.inert import plain

if TYPE_CHECKING:
    from sdg_prefect.blocks.review import Decision
    from sdg_prefect.store.reviews import Review

    Found = tuple[Review, Mapping[str, Any] | None]

_CELL = 100


def review(
    run_id: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Id of a run; the one that waits by default.", show_default=False)
    ] = None,
    storage: opt.Storage = None,
    block: Annotated[str | None, typer.Option("--block", help="The block, where a run has several.", metavar="NAME")] = None,
    approve: Annotated[bool, typer.Option("--approve", help="Let all rows go on.")] = False,
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Drop a row by its id. May be given several times.", metavar="ID")
    ] = None,
    drop_where: Annotated[
        str | None,
        typer.Option("--drop-where", help='Drop rows that meet a condition, such as "score|float < 3".', metavar="CONDITION"),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="End the run.")] = False,
    note: Annotated[str, typer.Option("--note", help="Why, for the report.", metavar="TEXT")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the rows that a run shows for a decision, and decide. The run goes on by itself."""
    from sdg_prefect.engine.waking import wake
    from sdg_prefect.store.reviews import read_reviews, write_decision
    from sdg_prefect.store.root import Root

    root = Root.chosen(storage)
    asked, known = _find(read_reviews(root), run_id, block, root.uri)
    decision = _decision(approve=approve, drop=drop or [], drop_where=drop_where or "", stop=stop, note=note)
    if decision is None:
        _show(asked, known, as_json=json_)
        return
    if problems := decision.problems(asked.columns):
        raise FlowError(" ".join(problems))
    write_decision(root, asked.review_id, decision.model_dump(mode="json"))
    say(f"{decision}: {asked.rows:,} rows of block '{asked.block}', run {asked.run_id}.")
    if left := wake(asked, decision.model_dump(mode="json")):
        say(f"The decision is kept. {left}")


def _decision(*, approve: bool, drop: Sequence[str], drop_where: str, stop: bool, note: str) -> Decision | None:
    from sdg_prefect.blocks.review import Decision

    chosen = [word for word, is_chosen in (("approve", approve), ("drop", bool(drop or drop_where)), ("stop", stop)) if is_chosen]
    if len(chosen) > 1:
        raise FlowError(f"{' and '.join(f'--{word}' for word in chosen)} exclude each other.", "Choose one.")
    if not chosen:
        return None
    return Decision.model_validate(
        {"decision": chosen[0], "drop_rows": drop, "drop_where": drop_where, "note": note, "by": "the command line"}
    )


def _find(found: Sequence[Found], run_id: str | None, block: str | None, store: str) -> Found:
    """Find the review that is meant: of those that fit the last one that waits, or else the last one."""
    if not found:
        raise FlowError(f"nothing in the store {store} waits for a decision.", "Name another one with --storage.")
    runs, blocks = [one.run_id for one, _ in found], {one.block for one, _ in found}
    if run_id is not None and run_id not in runs:
        raise FlowError(f"run '{run_id}' asked for no decision.", did_you_mean(run_id, runs[-12:]))
    if block is not None and block not in blocks:
        raise FlowError(f"block '{block}' asked for no decision.", did_you_mean(block, blocks))
    fit = [one for one in found if run_id in (None, one[0].run_id) and block in (None, one[0].block)]
    if not fit:
        raise FlowError(f"block '{block}' of run '{run_id}' asked for no decision.")
    waiting = [one for one in fit if one[1] is None]
    return (waiting or fit)[-1]


def _show(asked: Review, known: Mapping[str, Any] | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print(json.dumps({**asdict(asked), "decision": known}, ensure_ascii=False))
        return
    for row in asked.shown:
        cells = "; ".join(f"{name}: {_short(value)}" for name, value in row.items() if name != "row id")
        print(plain(f"{row['row id']}  {cells}"))
    lines = [asked.problem] if asked.problem else []
    lines += [asked.question] if asked.question else []
    state = (
        "wait for a decision" if known is None else f"were decided: {known.get('decision')}, by {known.get('by') or 'somebody'}"
    )
    lines.append(f"{len(asked.shown):,} of {asked.rows:,} rows of block '{asked.block}', run {asked.run_id}, which {state}.")
    if known is None:
        lines.append("Decide with --approve, with --drop ID or --drop-where CONDITION, or with --stop.")
    for line in lines:
        say(line)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(review)
