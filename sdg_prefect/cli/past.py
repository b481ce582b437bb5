"""``report`` and ``rejects``: what an earlier run did, from its store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.errors import FlowError, did_you_mean
from sdg_prefect.report.inert import plain

if TYPE_CHECKING:
    from sdg_prefect.report.comparison import Told
    from sdg_prefect.store.root import Root

RunId = Annotated[str | None, typer.Argument(metavar="[RUN]", help="Id of a run; the last one by default.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def report(
    run_id: RunId = None,
    other: Annotated[
        str | None, typer.Argument(metavar="[OTHER]", help="Another run, to compare the first one with.", show_default=False)
    ] = None,
    storage: opt.Storage = None,
    html: Annotated[bool, typer.Option("--html", help="Write it as a page again, and say where that is.")] = False,
    json_: Json = False,
) -> None:
    """Show the report of a run again, or what is different between two."""
    from sdg_prefect.report.rendering import stored_report_text

    if run_id is not None and other is not None:
        _compare(run_id, other, storage, html=html, json_=json_)
        return
    root, found, stored = find_run(run_id, storage)
    if html:
        from sdg_prefect.report.page import report_page
        from sdg_prefect.store.runs import write_page

        told = _told(root, found, stored)
        print(write_page(root, found, report_page(told.report, told.figures, told.manifest)))
    else:
        print(json.dumps(stored, ensure_ascii=False) if json_ else plain(stored_report_text(stored)))


def _compare(one: str, other: str, storage: str | None, *, html: bool, json_: bool) -> None:
    from sdg_prefect.report.comparison import compare, comparison_page, comparison_text
    from sdg_prefect.store.runs import write_page

    found = compare(*(_told(*find_run(run_id, storage)) for run_id in (one, other)))
    if html:
        root = find_run(other, storage)[0]
        print(write_page(root, other, comparison_page(found), f"compared-with-{one}.html"))
    else:
        print(json.dumps(found, ensure_ascii=False) if json_ else plain(comparison_text(found)))


def _told(root: Root, run_id: str, stored: Mapping[str, Any]) -> Told:
    """Return what a run left to tell of it; less of one that was killed, or is of an earlier version."""
    from sdg_prefect.report.comparison import Told
    from sdg_prefect.store.figures import read_figures
    from sdg_prefect.store.manifest import MANIFEST_FILE
    from sdg_prefect.store.runs import read_objects

    return Told(stored, read_figures(root, run_id), read_objects(root, [run_id], MANIFEST_FILE).get(run_id, {}))


def rejects(
    run_id: RunId = None,
    storage: opt.Storage = None,
    block: Annotated[str | None, typer.Option("--block", help="Only those of one block.", metavar="NAME")] = None,
    error: Annotated[
        str | None, typer.Option("--error", help="Only those of one class of error, such as NothingParsed.", metavar="CLASS")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N.", metavar="N")] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Write them as rows with their reasons, as run --output does.", metavar="TARGET"),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object a line, with the row and the raw reply.")] = False,
) -> None:
    """Show the rows that a run rejected, and why."""
    from sdg_prefect.store.output import check_output
    from sdg_prefect.store.runs import read_rejects_of

    if output is not None:
        check_output(output)
    root, found, stored = find_run(run_id, storage)
    everything = read_rejects_of(root, found)
    _check_block(block, everything, stored)
    matching = [row for row in everything if block in (None, row["block"]) and error in (None, row["error"])]
    shown = matching[:limit]
    if output is not None:
        _write(output, shown)
    elif json_:
        for row in shown:
            print(json.dumps({**row, "row": json.loads(row["row"])}, ensure_ascii=False))
    else:
        for row in shown:
            print(plain(_line(row)))
    tell = say if json_ else lambda text: print(plain(text))
    tell(_summary(matching, len(everything), found))
    if output is not None:
        tell(f"rows: {output}")


def _check_block(block: str | None, rows: Sequence[Mapping[str, Any]], stored: Mapping[str, Any]) -> None:
    known = {str(row["block"]) for row in rows} | {str(entry["name"]) for entry in stored.get("blocks", ())}
    if block is not None and block not in known:
        raise FlowError(f"the run has no block '{block}'.", did_you_mean(block, known))


def _write(target: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from sdg_prefect.store.output import write_output
    from sdg_prefect.store.rejected import rejects_table

    if not rows:
        say(f"nothing was written to {target}: there are no such rows.")
        return
    table = rejects_table(rows)
    write_output(target, [table], table.schema)


def _summary(rows: Sequence[Mapping[str, Any]], total: int, run_id: str) -> str:
    """Count rows by block and class of error, and say how many there are."""
    counts = Counter((str(row["block"]), str(row["error"])) for row in rows)
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    lines = [f"{count:>7,}  {block}: {error}" for (block, error), count in ordered]
    which = f"{len(rows):,} of {total:,}" if len(rows) < total else f"{total:,}"
    return "\n".join([*lines, f"{which} {'row was' if total == 1 else 'rows were'} rejected in run {run_id}"])


def find_run(run_id: str | None, storage: str | None) -> tuple[Root, str, dict[str, Any]]:
    """Find a run, or the last one that has a report, and its report."""
    from sdg_prefect.engine.references import place_of
    from sdg_prefect.store.root import Root
    from sdg_prefect.store.runs import read_reports, run_ids

    root = Root.chosen(place_of(storage))
    known = run_ids(root)
    if not known:
        raise FlowError(f"the store {root.uri} has no runs.", "Name another one with --storage.")
    if run_id is not None and run_id not in known:
        raise FlowError(f"the store {root.uri} has no run '{run_id}'.", did_you_mean(run_id, known[-12:]))
    for one in [run_id] if run_id is not None else reversed(known):
        if found := read_reports(root, [one]):
            return root, one, found[one]
    which = f"run {run_id} has" if run_id is not None else f"no run of the store {root.uri} has"
    raise FlowError(f"{which} no report: it is still on, or was killed.")


def _line(row: Mapping[str, Any]) -> str:
    content = json.loads(row["row"])
    shown = "; ".join(f"{name}: {_short(value)}" for name, value in list(content.items())[:3])
    cost = f"  ${row['cost_usd']:,.4f}" if row.get("cost_usd") else ""
    return f"{row['row_id']}  {row['block']}: {row['error']}: {row['message']}  ({shown}){cost}"


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:60]}…"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.command()(rejects)
