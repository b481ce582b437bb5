"""``run``: run a flow."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sdg_prefect.cli.options import Blocks, takes
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import BudgetReached, FlowError, Interrupted, ReviewStopped, SdgError

if TYPE_CHECKING:
    from sdg_prefect.cli.progress import Watcher
    from sdg_prefect.engine.outcome import Outcome
    from sdg_prefect.report.run_report import RunReport

_INTERRUPTED = 130
"""Exit status of a command that was stopped by a signal."""


@takes(*RunOptions.model_fields)
def run(
    asked: RunOptions,
    first: Annotated[str | None, typer.Option("--from", help="First of several days, taken one by one.", metavar="DAY")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last of them.", metavar="DAY")] = None,
    blocks: Blocks = None,
    is_plain: Annotated[bool, typer.Option("--plain", help="Show progress as lines, as in a log, on a terminal too.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON on the last line of stdout.")] = False,
) -> None:
    """Run a flow over seeds. The same command again goes on where it stopped and pays nothing twice."""
    load_own_blocks(blocks)
    if asked.input is None:
        raise FlowError("there are no seeds.", "Name them with --input FILE.")
    runs = [asked] if first is last is None else _by_day(asked, first, last)
    are_fine = True
    for one in runs:
        outcome = _watched(one, prints_json=json_, is_plain=is_plain, is_last=one is runs[-1])
        are_fine = are_fine and outcome.is_success
        if json_:
            _print_report(outcome.report)
        elif asked.output is None:
            _print_rows(outcome)
    sys.exit(0 if are_fine else 1)


def _by_day(asked: RunOptions, first: str | None, last: str | None) -> list[RunOptions]:
    """Return the options for each of several days."""
    from sdg_prefect.engine.partitions import days

    if first is None or last is None or asked.date is not None:
        raise FlowError("several days are named with --from and --to, both, and without --date.")
    return [asked.model_copy(update={"date": day}) for day in days(first, last)]


def _watched(asked: RunOptions, *, prints_json: bool, is_plain: bool, is_last: bool) -> Outcome:
    """Run, and show it; on the terminal as a table, elsewhere as lines."""
    from sdg_prefect.cli.progress import watch
    from sdg_prefect.engine.start import run as start

    with watch(is_plain=is_plain) as watcher:
        try:
            outcome = start(asked, watcher, is_last=is_last)
        except KeyboardInterrupt as error:
            _say_interrupted(error, watcher, prints_json=prints_json)
            interruption = error
        except SdgError as error:
            if error.report is not None:
                if not isinstance(error, BudgetReached | ReviewStopped):
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
