"""``preview``: a few rows through a flow, each block's prompts and replies shown."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sdg_prefect.cli.console import plain, say
from sdg_prefect.cli.options import Blocks, takes
from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.rows import ROW_ID

if TYPE_CHECKING:
    from sdg_prefect.engine.previewing import Preview

_LONGEST = 400
"""Characters of a text that are shown where nobody asks for more."""


@takes(
    "flow",
    "input",
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
    full: Annotated[bool, typer.Option("--full", help="Show texts in full length.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Take a few seeds through a flow and show what each block asks, gets and makes. What it pays for is reused by run.

    Exits 0 if every row came through or was filtered, 1 if a row was rejected.
    """
    load_own_blocks(blocks)
    shown = _preview(asked.model_copy(update={"limit": rows}))
    if json_:
        from sdg_prefect.engine.previewing import as_json

        print(json.dumps(as_json(shown), ensure_ascii=False, default=str))
    else:
        for line in _lines(shown, None if full else _LONGEST):
            print(plain(line))
    if shown.counts.rejected:
        raise typer.Exit(1)


def _preview(asked: RunOptions) -> Preview:
    from sdg_prefect.engine.preparing import prepare
    from sdg_prefect.engine.start import new_run_id, read_seeds_of
    from sdg_prefect.store.checking import check_storage

    prepared = prepare(asked)
    asked = prepared.options
    check_storage(asked.storage)
    for warning in prepared.plan.warnings:
        say(str(warning))
    seeds = read_seeds_of(asked, prepared.spec)

    from sdg_prefect.engine.previewing import asked_in_batches
    from sdg_prefect.engine.previewing import preview as take_through

    for model_id in asked_in_batches(prepared.plan):
        say(f"model '{model_id}' has 'mode: batch'; the preview calls it, at the price of calls, since a batch may take a day.")
    return take_through(prepared.plan, asked, seeds, new_run_id())


def _lines(shown: Preview, longest: int | None) -> Iterator[str]:
    """Yield what each block did, for people."""
    from sdg_prefect.engine.previewing import as_json

    told = as_json(shown)
    for step, of_step in zip(shown.steps, told["steps"], strict=True):
        before = [name for name in step.before.column_names if name != ROW_ID]
        yield f"{of_step['name']} ({of_step['type']}): {of_step['rows_in']} rows in, {of_step['rows_out']} out{_gone(of_step)}"
        yield from _exchanges(of_step["exchanges"], longest)
        yield from _rejects(of_step["rejects"], longest)
        yield from _made(of_step["rows"], before, longest)
        yield ""
    paid, replayed = told["llm_calls"], told["llm_replayed"]
    cost = f", ${told['cost_usd']:.4f}" if paid and shown.counts.cost_known else ""
    yield f"{len(told['rows'])} rows came out; {paid} calls paid for{cost}, {replayed} replayed."
    if paid or replayed:
        yield "'run' on the same store pays for none of them again."


def _gone(step: Mapping[str, Any]) -> str:
    kinds = {
        "passed by": step["skipped"],
        "filtered": step["filtered"],
        "deduplicated": step["deduplicated"],
        "rejected": len(step["rejects"]),
    }
    return "".join(f", {count} {kind}" for kind, count in kinds.items() if count)


def _exchanges(exchanges: Sequence[Mapping[str, Any]], longest: int | None) -> Iterator[str]:
    for number, exchange in enumerate(exchanges, 1):
        yield f"  call {number} of {len(exchanges)}"
        asked = exchange["asked"]
        messages = [{"role": "prompt", "content": asked}] if isinstance(asked, str) else asked
        for message in messages:
            yield from _text(str(message.get("role", "")), message.get("content"), longest)
        for reply in exchange.get("replies", ()):
            yield from _text("reply (replayed)" if exchange["is_replayed"] else "reply", reply, longest)
        if "error" in exchange:
            yield from _text("failed", exchange["error"], longest)


def _rejects(rejects: Sequence[Mapping[str, Any]], longest: int | None) -> Iterator[str]:
    for reject in rejects:
        yield from _text("rejected", f"{reject['error']}: {reject['message']}", longest)


def _made(rows: Sequence[Mapping[str, Any]], before: Sequence[str], longest: int | None) -> Iterator[str]:
    """Yield the values of the columns that a block has added."""
    for number, row in enumerate(rows, 1):
        added = {name: value for name, value in row.items() if name not in before and name != ROW_ID}
        if added:
            yield f"  row {number} of {len(rows)}"
        for name, value in added.items():
            yield from _text(f"{name} =", value, longest)


def _text(label: str, value: Any, longest: int | None) -> Iterator[str]:
    """Yield a labelled text, its lines set in below the label where there are several."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if longest is not None and len(text) > longest:
        text = f"{text[:longest]} … ({len(text) - longest:,} more characters; --full shows them)"
    if "\n" in text:
        yield f"    {label}"
        yield textwrap.indent(text.rstrip("\n"), "      ")
    else:
        yield f"    {label} {text}"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(preview)
