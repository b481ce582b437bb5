"""The story of a row as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sdg_prefect.report.wording import said, shown, usd

_SHORT = 400
"""Characters of a value of a row that are shown."""


def story_text(story: Mapping[str, Any]) -> str:
    """Write the story of a row: its seed, what each block asked and was told, and what it made of that."""
    return "\n".join(_lines(story))


def _lines(story: Mapping[str, Any]) -> Iterator[str]:
    where = "in the output" if story["is_in_output"] else "not in the output"
    yield f"row {story['row_id']} of run {story['run_id']}, {where}"
    yield ""
    yield f"seed {story['seed']['row_id']}"
    yield from _row(story["seed"]["row"])
    for step in story["steps"]:
        yield ""
        became = "" if step["made"] == step["row_id"] else f", made {step['made']}"
        yield f"{step['block']} ({step['type']}, version {step['version']}, key {step['key']}){became}"
        if step["note"]:
            yield f"  what was asked cannot be told: {step['note']}"
        for exchange in step["exchanges"]:
            yield from _exchange(exchange)
        if step["changed"]:
            yield "  it set"
            yield from _row(step["changed"], "    ")
        if step["dropped"]:
            yield f"  it dropped {', '.join(step['dropped'])}"
    for fate in story["afterwards"]:
        yield ""
        yield from _fate(fate)


def _exchange(exchange: Mapping[str, Any]) -> Iterator[str]:
    yield f"  asked {exchange['model_id']} (prompt {exchange['prompt_hash']}, {_inline(exchange['params'])})"
    asked = exchange["asked"]
    for role, text in (
        [("", asked)]
        if isinstance(asked, str)
        else [(one.get("role", ""), shown(said(one.get("content"), one.get("tool_calls")))) for one in asked]
    ):
        yield from _indented(f"{role}: {text}" if role else text, "    ")
    if exchange["replies"] is None:
        yield "  the ledger has no reply to this any more"
        return
    took = f"{exchange['tokens_in']:,} tokens in, {exchange['tokens_out']:,} out, {exchange['seconds']:g} s"
    cost = "" if exchange["cost_usd"] is None else f", {usd(exchange['cost_usd'])}" if exchange["cost_usd"] else ""
    attempts = f", attempt {exchange['attempts']}" if exchange["attempts"] > 1 else ""
    when = f", at {exchange['at']}" if exchange["at"] else ""
    yield f"  {exchange['model']} replied ({took}{cost}{attempts}{when})"
    for reply in exchange["replies"]:
        yield from _indented(said(reply["text"], reply.get("tool_calls")) or "", "    ")
        yield f"    [{reply['finish_reason'] or 'no finish reason'}]"


def _fate(fate: Mapping[str, Any]) -> Iterator[str]:
    parts = [f"gave {fate['rows_after']:,} rows" if fate["rows_after"] != 1 else "gave 1 row"]
    parts += [f"{fate[name]:,} {name}" for name in ("filtered", "deduplicated") if fate.get(name)]
    parts += [f"{len(fate['rejected']):,} rejected"] if fate["rejected"] else []
    yield f"then {fate['block']}: {fate['rows_before']:,} in, {', '.join(parts)}"
    for reject in fate["rejected"]:
        yield f"  rejected: {reject['error']}: {reject['message']}"
        yield from _indented(reject["raw"], "    ") if reject["raw"] else ()


def _row(row: Mapping[str, Any], indent: str = "  ") -> Iterator[str]:
    for name, value in row.items():
        text = shown(value)
        text = text if len(text) <= _SHORT else f"{text[:_SHORT]}…"
        first, *rest = text.split("\n")
        yield f"{indent}{name} = {first}"
        yield from (f"{indent}  {line}" for line in rest)


def _indented(text: str, indent: str) -> Iterator[str]:
    yield from (f"{indent}{line}" for line in text.split("\n"))


def _inline(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in params.items()) or "no parameters"
