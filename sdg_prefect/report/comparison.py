"""Two runs beside each other: what changed in the flow, in what it took, and in the rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.frequencies import Histogram, distance, shares_of
from sdg_prefect.report.described import steps_of
from sdg_prefect.report.filling import COMMAND, render
from sdg_prefect.report.verdicts import column_distance
from sdg_prefect.report.wording import as_text, change, words

_FIGURES = (
    "rows_in",
    "rows_out",
    "rows_filtered",
    "rows_deduplicated",
    "rows_rejected",
    "rows_quarantined",
    "llm_calls",
    "llm_replayed",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "cost_per_row_usd",
    "seconds",
)
_OF_BLOCKS = ("rows_in", "gave_rows", "rows_out", "filtered", "deduplicated", "rejected", "unparsed")
_LINES = 3
"""Lines that are the same, around those that differ."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a run left to tell of it."""

    report: Mapping[str, Any]
    figures: Mapping[str, Any] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)


def compare(one: Told, other: Told) -> dict[str, Any]:
    """Compare two runs.

    Returns:
        A JSON object: ``{runs, flow: [{where, what, old, new, diff}], figures, blocks, columns: [{name, old, new, …}]}``. Only
        what differs is in it.
    """
    return {
        "runs": [{name: told.report.get(name) for name in ("run_id", "flow", "status")} for told in (one, other)],
        "flow": list(_flow_changes(one.manifest, other.manifest)),
        "figures": _numbers(one.report, other.report, _FIGURES),
        "blocks": list(_blocks(one, other)),
        "columns": list(_columns(one.figures.get("profile"), other.figures.get("profile"))),
        "gates": list(_gates(one.report, other.report)),
    }


def comparison_page(found: Mapping[str, Any]) -> str:
    """Write a comparison as HTML, as ``report_page`` does."""
    return render("comparison.html.jinja", title="Two runs compared", sections=[], found=found, command=COMMAND)


def _numbers(one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "old": old, "new": new} for name in names if (old := one.get(name) or 0) != (new := other.get(name) or 0)
    ]


def _flow_changes(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Find what changed in the flow and in what went in; nothing where a run left no manifest."""
    if not one or not other:
        return
    yield from _step_changes(*(steps_of(told["flow"]) for told in (one, other)))
    parts = [
        (name, one["flow"].get(name), other["flow"].get(name)) for name in ("models", "output_columns", "expect", "parameters")
    ]
    parts += [("seeds", _input(one), _input(other))]
    parts += [(name, one[name], other[name]) for name in ("served_models", "programs", "git")]
    for name, old, new in parts:
        for path, before, after in _differences(old, new):
            yield _change(name.replace("_", " "), path, before, after)


def _step_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for label in {**before, **after}:
        if label not in after:
            yield _change(label, "block", before[label]["type"], None)
        elif label not in before:
            yield _change(label, "block", None, after[label]["type"])
        else:
            for path, old, new in _differences(_of_step(before[label]), _of_step(after[label])):
                yield _change(label, path, old, new)
    orders = [[label for label in found if label in before and label in after] for found in (before, after)]
    if orders[0] != orders[1]:
        yield _change("flow", "order of blocks", *(", ".join(order) for order in orders))


def _input(manifest: Mapping[str, Any]) -> dict[str, Any]:
    told = manifest["input"]
    return {"source": told["source"], "content": told["stored"], "rows": told["rows"]}


def _of_step(step: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        name: step[name]
        for name in ("type", "version", "source", "scope", "times", "when", "drop_columns", "keep_columns", "expect")
    }
    return told | {name: value for name, value in step["config"].items() if name != "block_name"}


def _differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Find where two JSON-like values differ."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in {**old, **new}:
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}".lstrip("."))
    elif (
        isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and any(isinstance(one, Mapping) for one in old)
    ):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    else:
        yield path, old, new


def _change(where: str, what: str, old: Any, new: Any) -> dict[str, Any]:
    diff: list[str] = []
    if isinstance(old, str) and isinstance(new, str) and "\n" in f"{old}{new}":
        lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=_LINES)
        diff = [line for line in lines if not line.startswith(("---", "+++"))]
    return {"where": where, "what": what, "old": old, "new": new, "diff": diff}


def _blocks(one: Told, other: Told) -> Iterator[dict[str, Any]]:
    before, after = ({block["name"]: block for block in told.report.get("blocks", [])} for told in (one, other))
    for name in {**before, **after}:
        old, new = before.get(name, {}), after.get(name, {})
        numbers = _numbers(old, new, _OF_BLOCKS)
        for trait, title in (
            ("seconds", "median latency, s"),
            ("prompt_tokens", "median tokens of a prompt"),
            ("reply_tokens", "median tokens of a reply"),
        ):
            medians = [
                Histogram(told.figures.get("blocks", {}).get(name, {}).get(trait, {})).quantile(0.5) for told in (one, other)
            ]
            first, second = (None if median is None else round(median, 3) for median in medians)
            if first != second:
                numbers.append({"name": title, "old": first or 0, "new": second or 0})
        reasons = [shares_of(block.get("finish_reasons", {})) for block in (old, new)]
        for reason in {**reasons[0], **reasons[1]}:
            first, second = (round(found.get(reason, 0.0), 4) for found in reasons)
            if first != second:
                numbers.append({"name": f"share ended by {reason}", "old": first, "new": second})
        if numbers:
            yield {"name": name, "figures": numbers}


def _columns(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    # Of no rows there is nothing to say but that, which the figures of the runs do.
    if not one or not other or not one["rows"] or not other["rows"]:
        return
    before, after = ({column["name"]: column for column in profile["columns"]} for profile in (one, other))
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield {
                "name": name,
                "distance": None,
                "figures": [{"name": "is there", "old": old is not None, "new": new is not None}],
            }
            continue
        numbers = _numbers(old, new, ("type", "nulls", "repeats", "min", "p5", "p50", "p95", "max"))
        labels = [shares_of(column["labels"] or {}) for column in (old, new)]
        if all(labels) and distance(*labels):
            for label in {**labels[0], **labels[1]}:
                shares = [round(found.get(label, 0.0), 4) for found in labels]
                numbers += [{"name": f"share of {label}", "old": shares[0], "new": shares[1]}] if shares[0] != shares[1] else []
        apart = column_distance(old, new)
        if numbers:
            yield {"name": name, "distance": None if apart is None else round(apart, 4), "figures": numbers}


def _gates(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    before, after = (
        {(gate["block"], gate["kind"], at): gate for at, gate in enumerate(told.get("gates", []))} for told in (one, other)
    )
    for key in {**before, **after}:
        old, new = (told.get(key, {}).get("says") for told in (before, after))
        if old != new:
            yield {"name": f"{key[1]}{f' at {key[0]}' if key[0] else ''}", "old": old, "new": new}


def comparison_text(found: Mapping[str, Any]) -> str:
    """Write a comparison as lines for people."""
    one, other = found["runs"]
    lines = [f"A  {one['run_id']}  {one['flow']}  {one['status']}", f"B  {other['run_id']}  {other['flow']}  {other['status']}"]
    lines += ["", "flow and what went in:"] if found["flow"] else ["", "the flow and its seeds are the same"]
    for found_change in found["flow"]:
        lines.append(f"  {found_change['where']}: {found_change['what']}")
        lines += [f"    {line}" for line in found_change["diff"]] or [
            f"    {as_text(found_change['old'])} → {as_text(found_change['new'])}"
        ]
    for title, key in (("figures", "figures"), ("expectations", "gates")):
        lines += ["", f"{title}:"] if found[key] else []
        lines += [f"  {_line(entry)}" for entry in found[key]]
    for title, key in (("blocks", "blocks"), ("columns", "columns")):
        lines += ["", f"{title}:"] if found[key] else []
        for entry in found[key]:
            apart = f"  (distance {entry['distance']:.3f})" if entry.get("distance") is not None else ""
            lines.append(f"  {entry['name']}{apart}")
            lines += [f"    {_line(figure)}" for figure in entry["figures"]]
    return "\n".join(lines)


def _line(entry: Mapping[str, Any]) -> str:
    by = change(entry)
    return f"{words(entry['name'])}: {as_text(entry['old'])} → {as_text(entry['new'])}{f'  ({by})' if by else ''}"
