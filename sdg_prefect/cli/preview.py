"""``preview``: a few rows through a flow, each block's prompts and replies shown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.cli.options import Blocks, takes
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.cli.sides import NEEDED, beside_each_other, shortened
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import StoreError
from sdg_prefect.report.inert import plain
from sdg_prefect.report.passages import as_words, closing_words, counts_of
from sdg_prefect.report.wording import said
from sdg_prefect.rows import ROW_ID

if TYPE_CHECKING:
    from sdg_prefect.engine.previewing import Preview

_LONGEST, _LONGEST_BESIDE = 400, 1_000
"""Characters of a text that are shown where nobody asks for more; so many of one that stands in a column beside others."""


@takes(
    "flow",
    "input",
    "pdf",
    "model",
    "api_base",
    "api_key_env",
    "models",
    "storage",
    "overrides",
    "parameters",
    "date",
    "timezone",
    "partition",
)
def preview(
    asked: RunOptions,
    rows: Annotated[int, typer.Option("-n", "--rows", min=1, help="How many seeds.", metavar="N")] = 3,
    blocks: Blocks = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write it as a page to this file instead.", metavar="FILE", dir_okay=False)
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show texts in full length.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take a few seeds through a flow and show what each block asks, gets and makes. What it pays for is reused by run.

    Exits 0 if every row came through or was filtered, 1 if a row was rejected.
    """
    load_own_blocks(blocks)
    shown = _preview(asked.model_copy(update={"limit": rows}))
    from sdg_prefect.engine.previewing import as_json

    told = as_json(shown)
    if html is not None:
        _write_page(html, told)
    if json_:
        print(json.dumps(told, ensure_ascii=False, default=str))
    elif html is None:
        _show(told, None if full else _LONGEST)
    if shown.counts.rejected:
        raise typer.Exit(1)


def _show(told: Mapping[str, Any], longest: int | None) -> None:
    """Print a preview: side by side where there is room, else one after another."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal and not console.is_dumb_terminal and console.width >= NEEDED:
        for part in beside_each_other(told, None if longest is None else _LONGEST_BESIDE):
            console.print(part)
        return
    for line in _lines(told, longest):
        print(plain(line))


def _write_page(file: Path, told: Mapping[str, Any]) -> None:
    from sdg_prefect.report.passages import preview_page

    try:
        file.write_text(preview_page(told["flow"], told), "utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error.strerror or error}.") from error
    say(f"preview: {file}")


def _preview(asked: RunOptions) -> Preview:
    from sdg_prefect.engine.preparing import prepare
    from sdg_prefect.engine.start import new_run_id, read_seeds_of
    from sdg_prefect.store.checking import check_storage

    prepared = prepare(asked)
    asked = prepared.options
    check_storage(asked.storage)
    for warning in prepared.plan.warnings:
        say(str(warning))
    doubts: list[str] = []
    seeds = read_seeds_of(asked, prepared.spec, doubts)
    for doubt in doubts:
        say(doubt)

    from sdg_prefect.engine.previewing import asked_in_batches
    from sdg_prefect.engine.previewing import preview as take_through

    for model_id in asked_in_batches(prepared.plan):
        say(f"model '{model_id}' has 'mode: batch'; the preview calls it, at the price of calls, since a batch may take a day.")
    return take_through(prepared.plan, asked, seeds, new_run_id())


def _lines(told: Mapping[str, Any], longest: int | None) -> Iterator[str]:
    """Yield what each block did, for people."""
    for of_step in told["steps"]:
        yield f"{of_step['name']} ({of_step['type']}): {counts_of(of_step)}"
        yield from _exchanges(of_step["exchanges"], longest)
        yield from _rejects(of_step["rejects"], longest)
        yield from _made(of_step["rows"], of_step["columns_kept"], longest)
        yield ""
    yield from closing_words(told)


def _exchanges(exchanges: Sequence[Mapping[str, Any]], longest: int | None) -> Iterator[str]:
    for number, exchange in enumerate(exchanges, 1):
        yield f"  call {number} of {len(exchanges)}"
        asked = exchange["asked"]
        messages = [{"role": "prompt", "content": asked}] if isinstance(asked, str) else asked
        for message in messages:
            yield from _text(str(message.get("role", "")), said(message.get("content"), message.get("tool_calls")), longest)
        for reply in exchange.get("replies", ()):
            yield from _text("reply (replayed)" if exchange["is_replayed"] else "reply", reply, longest)
        if "error" in exchange:
            yield from _text("failed", exchange["error"], longest)


def _rejects(rejects: Sequence[Mapping[str, Any]], longest: int | None) -> Iterator[str]:
    for reject in rejects:
        yield from _text("rejected", f"{reject['error']}: {reject['message']}", longest)


def _made(rows: Sequence[Mapping[str, Any]], before: Sequence[str], longest: int | None) -> Iterator[str]:
    """Yield the values of the columns that a block has written."""
    for number, row in enumerate(rows, 1):
        written = {name: value for name, value in row.items() if name not in before and name != ROW_ID}
        if written:
            yield f"  row {number} of {len(rows)}"
        for name, value in written.items():
            yield from _text(f"{name} =", value, longest)


def _text(label: str, value: Any, longest: int | None) -> Iterator[str]:
    """Yield a labelled text, its lines set in below the label where there are several."""
    text = as_words(value)
    text = shortened(text, longest)
    if "\n" in text:
        yield f"    {label}"
        yield textwrap.indent(text.rstrip("\n"), "      ")
    else:
        yield f"    {label} {text}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(preview)
