"""What a preview shows of a block, row by row: what was asked for a row, what was replied, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_prefect.report.wording import said
from sdg_prefect.rows import ROW_ID

Labelled = tuple[str, str]
"""A text, and what it is."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One row on its way through a block."""

    row_id: str
    asked: Sequence[Labelled]
    """What the model was sent: each message by its role."""
    said: Sequence[Labelled]
    """What came back: replies, or why there is none."""
    made: Sequence[Labelled]
    """The columns that the block set, of each row that it made; or why there is none."""
    is_lost: bool = False
    """True if it was rejected."""


def passages(step: Mapping[str, Any]) -> Iterator[Passage]:
    """Give the rows of a step of a preview that were asked about, rejected, or got new columns.

    Args:
        step: The step, as the JSON of a preview has it.
    """
    exchanges = _by(step["exchanges"], "row_id")
    rejects = _by(step["rejects"], "row_id")
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for row, parent in zip(step["rows"], step["parents"], strict=True):
        rows.setdefault(parent, []).append(row)
    for row_id in step["row_ids"]:
        asked, lost = exchanges.get(row_id, []), rejects.get(row_id, [])
        made = list(_made(rows.get(row_id, []), {ROW_ID, *step["columns_kept"]}))
        made += [("rejected", f"{one['error']}: {one['message']}") for one in lost]
        if asked or made:
            yield Passage(row_id, list(_asked(asked)), list(_said(asked)), made, bool(lost))


def _by(entries: Sequence[Mapping[str, Any]], name: str) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        found.setdefault(entry[name], []).append(entry)
    return found


def _asked(exchanges: Sequence[Mapping[str, Any]]) -> Iterator[Labelled]:
    for number, exchange in enumerate(exchanges, 1):
        call = f"call {number}, " if len(exchanges) > 1 else ""
        asked = exchange["asked"]
        for message in [{"role": "prompt", "content": asked}] if isinstance(asked, str) else asked:
            yield f"{call}{message.get('role', '')}", as_words(said(message.get("content"), message.get("tool_calls")))


def _said(exchanges: Sequence[Mapping[str, Any]]) -> Iterator[Labelled]:
    for number, exchange in enumerate(exchanges, 1):
        call = f"call {number}, " if len(exchanges) > 1 else ""
        replies = exchange.get("replies", ())
        for place, reply in enumerate(replies, 1):
            which = f" {place} of {len(replies)}" if len(replies) > 1 else ""
            yield f"{call}reply{which}{', replayed' if exchange['is_replayed'] else ''}", as_words(reply)
        if "error" in exchange:
            yield f"{call}failed", exchange["error"]


def _made(rows: Sequence[Mapping[str, Any]], before: Container[str]) -> Iterator[Labelled]:
    for number, row in enumerate(rows, 1):
        which = f"row {number}: " if len(rows) > 1 else ""
        for name, value in row.items():
            if name not in before:
                yield f"{which}{name}", as_words(value)


def as_words(value: Any) -> str:
    """Write any value as a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def counts_of(step: Mapping[str, Any]) -> str:
    """Say how many rows went into a step, came out, and were lost."""
    kinds = {
        "passed by": step["skipped"],
        "filtered": step["filtered"],
        "deduplicated": step["deduplicated"],
        "rejected": len(step["rejects"]),
    }
    gone = "".join(f", {count} {kind}" for kind, count in kinds.items() if count)
    return f"{step['rows_in']} rows in, {step['rows_out']} out{gone}"


def closing_words(told: Mapping[str, Any]) -> Iterator[str]:
    """Say what a preview came to.

    Args:
        told: The JSON of the preview.
    """
    paid, replayed = told["llm_calls"], told["llm_replayed"]
    cost = f", ${told['cost_usd']:.4f}" if paid and told["cost_known"] else ""
    yield f"{len(told['rows'])} rows came out; {paid} calls paid for{cost}, {replayed} replayed."
    if paid or replayed:
        yield "'run' on the same store pays for none of them again."


def preview_page(flow: str, told: Mapping[str, Any]) -> str:
    """Write a preview as a page: for each block the prompt, the reply and the rows, side by side.

    Args:
        flow: The name of the flow.
        told: The JSON of the preview.
    """
    from sdg_prefect.report.filling import render

    steps = [
        {"name": step["name"], "type": step["type"], "counts": counts_of(step), "passages": list(passages(step))}
        for step in told["steps"]
    ]
    sections = [(f"step-{number}", step["name"]) for number, step in enumerate(steps, 1)]
    said = list(closing_words(told))
    return render("preview.html.jinja", title=f"Preview of {flow}", sections=sections, steps=steps, said=said)
