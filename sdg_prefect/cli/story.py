"""``explain`` and ``lineage``: where the rows of a run come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sdg_prefect.cli import options as opt
from sdg_prefect.cli.console import say
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.cli.past import RunId, find_run
from sdg_prefect.errors import FlowError, StoreError
from sdg_prefect.report.inert import plain

Run = Annotated[str | None, typer.Option("--run", help="Id of a run; the last one that has the row by default.", metavar="RUN")]
_LOOK_BACK = 20
"""Runs in which a row is looked for, from the newest."""


def explain(
    row_id: Annotated[str, typer.Argument(help="Id of a row, as --keep-ids and 'rejects' show it.", show_default=False)],
    run: Run = None,
    storage: opt.Storage = None,
    blocks: opt.Blocks = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell the story of a row: its seed, what each block asked for it and was told, and what became of it."""
    from sdg_prefect.engine.explaining import Explainer
    from sdg_prefect.report.storytelling import story_text
    from sdg_prefect.store.root import Root
    from sdg_prefect.store.runs import run_ids

    load_own_blocks(blocks)
    root = Root.chosen(storage)
    names = [find_run(run, storage)[1]] if run is not None else list(reversed(run_ids(root)))[:_LOOK_BACK]
    for name in names:
        try:
            story = Explainer.of(root, name).story(row_id)
        except StoreError:
            if run is not None:
                raise
            continue
        if story is not None:
            print(json.dumps(story, ensure_ascii=False) if json_ else plain(story_text(story)))
            return
    where = f"run {run} has" if run is not None else f"no run of the store {root.uri} whose rows are still there has"
    raise FlowError(f"{where} a row '{row_id}'.", "Ids are in the output with --keep-ids, and in 'rejects'.")


def lineage(
    run_id: RunId = None,
    storage: opt.Storage = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a file, one event a line.", metavar="FILE", dir_okay=False)
    ] = None,
) -> None:
    """Print where the rows of a run come from as events of OpenLineage, one JSON object a line."""
    from sdg_prefect.report.openlineage import openlineage_events
    from sdg_prefect.store.manifest import read_manifest

    root, found, stored = find_run(run_id, storage)
    events = openlineage_events(stored, read_manifest(root, found))
    lines = "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events)
    if output is None:
        print(lines, end="")
        return
    try:
        output.write_text(lines, "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror or error}.") from error
    say(f"events: {output}")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(explain)
    app.command()(lineage)
