"""``report`` and ``rejects``: what an earlier run did, from its store."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import plain
from sdg_prefect.errors import FlowError, did_you_mean

RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Id of a run; the last one by default.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def report(run_id: RunId = None, storage: opt.Storage = None, json_: Json = False) -> None:
    """Show the report of a run again."""
    from sdg_prefect.report.rendering import stored_report_text
    from sdg_prefect.store.runs import read_report

    root, found = _find(run_id, storage)
    stored = read_report(root, found)
    print(json.dumps(stored, ensure_ascii=False) if json_ else plain(stored_report_text(stored)))


def rejects(
    run_id: RunId = None,
    storage: opt.Storage = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N.", metavar="N")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, with the row and the raw reply.")] = False,
) -> None:
    """Show the rows that a run rejected, and why."""
    from sdg_prefect.store.runs import read_rejects_of

    root, found = _find(run_id, storage)
    rows = read_rejects_of(root, found)
    for row in rows[:limit]:
        print(json.dumps(row, ensure_ascii=False) if json_ else plain(_line(row)))
    if not json_:
        print(f"{len(rows):,} rows were rejected in run {found}")


def _find(run_id: str | None, storage: str | None) -> tuple[Any, str]:
    from sdg_prefect.settings import settings
    from sdg_prefect.store.root import Root
    from sdg_prefect.store.runs import run_ids

    root = Root.at(storage or settings().storage)
    known = run_ids(root)
    if not known:
        raise FlowError(f"the store {root.uri} has no runs.", "Name another one with --storage.")
    if run_id is not None and run_id not in known:
        raise FlowError(f"the store {root.uri} has no run '{run_id}'.", did_you_mean(run_id, known[-12:]))
    return root, run_id or known[-1]


def _line(row: dict[str, Any]) -> str:
    content = json.loads(row["row"])
    shown = "; ".join(f"{name}: {_short(value)}" for name, value in list(content.items())[:3])
    return f"{row['row_id']}  {row['block']}: {row['error']}: {row['message']}  ({shown})"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(rejects)
