"""The report of a run as a page: one HTML file that needs no network, runs no script, and shows what models wrote as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sdg_prefect.frequencies import Frequencies, Histogram, Seen, by_amount
from sdg_prefect.report.charts import area, compact, histogram
from sdg_prefect.report.described import steps_of
from sdg_prefect.report.filling import COMMAND, render
from sdg_prefect.report.mermaid import mermaid
from sdg_prefect.report.picture import flow_svg
from sdg_prefect.report.profile import label_shares
from sdg_prefect.report.timeline import Timeline
from sdg_prefect.report.wording import number, share, small_usd, usd, words

_MOOD = {"completed": "good", "completed_with_rejects": "warn", "stopped_by_budget": "warn", "interrupted": "warn"}
_SECTIONS = {
    "gates": "Expectations",
    "blocks": "Rows",
    "picture": "Flow",
    "calls": "Calls",
    "profile": "Data",
    "samples": "Stories",
    "rejects": "Rejects",
    "provenance": "Provenance",
}
_ANCHORS = {"blocks": "rows", "picture": "flow", "profile": "data"}
_MOST_LABELS = 20


def report_page(report: Mapping[str, Any], figures: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Write the report of a run as HTML.

    Args:
        report: ``report.json`` of the run.
        figures: ``figures.json``; empty where it has none.
        manifest: ``manifest.json``; empty where it has none.
    """
    blocks = report.get("blocks", [])
    flow = manifest.get("flow")
    rows = {block["name"]: block["rows_out"] for block in blocks}
    seen: Mapping[str, Seen] = figures.get("blocks", {})
    shown = {
        "gates": report.get("gates", []),
        "blocks": _fates(blocks),
        "picture": flow_svg(flow, rows) if flow else "",
        "calls": [_calls(block) for block in blocks if block["llm_calls"] or block["replayed"]],
        "profile": _profile(figures.get("profile")),
        "samples": figures.get("samples", []),
        "rejects": figures.get("rejects", []),
        "provenance": _provenance(manifest),
    }
    return render(
        "report.html.jinja",
        title=f"{report['flow']}: {words(report['status'])}",
        sections=[(_ANCHORS.get(name, name), title) for name, title in _SECTIONS.items() if shown[name]],
        mood=_MOOD.get(report["status"], "bad"),
        report=report,
        manifest=manifest,
        tiles=_tiles(report),
        mermaid=mermaid(flow, rows) if flow else "",
        models=list(_models(seen)),
        reasons=list(_reasons(seen)),
        charts=list(_charts(seen, figures.get("timeline"))),
        steps=list(steps_of(flow).values()) if flow else [],
        command=COMMAND,
        **shown,
    )


def _tiles(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "rows in", number(report["rows_in"])
    yield "rows out", number(report["rows_out"])
    for name in ("filtered", "deduplicated", "rejected", "quarantined"):
        if report.get(f"rows_{name}"):
            yield name, number(report[f"rows_{name}"])
    if report["llm_calls"] or report["llm_replayed"]:
        yield "calls", number(report["llm_calls"])
        yield "replayed", number(report["llm_replayed"])
        yield "tokens in", compact(report["tokens_in"])
        yield "tokens out", compact(report["tokens_out"])
        yield "cost", usd(report["cost_usd"], is_known=report["cost_known"])
    if report.get("cost_per_row_usd"):
        yield "cost of a row", small_usd(report["cost_per_row_usd"])
    yield "time", f"{report['seconds']:,.1f} s"


def _fates(blocks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    most = max((block["rows_in"] for block in blocks), default=0) or 1
    kinds = {"gave_rows": "passed", "filtered": "filtered", "deduplicated": "deduplicated", "rejected": "rejected"}
    return [
        {**block, "fate": [(kind, round(100 * block[name] / most, 3)) for name, kind in kinds.items() if block[name]]}
        for block in blocks
    ]


def _calls(block: Mapping[str, Any]) -> dict[str, Any]:
    latency = block.get("latency_seconds", {})
    times = {name: f"{latency[name]:.3g} s" if name in latency else "·" for name in ("p50", "p90", "p99")}
    return {**block, **times, "cost": usd(block["cost_usd"], is_known=block["cost_known"])}


def _models(seen: Mapping[str, Seen]) -> Iterator[dict[str, Any]]:
    for block, traits in seen.items():
        for name, count in by_amount(traits.get("completions", {})):
            amounts = {trait: traits.get(trait, {}).get(name, 0) for trait in ("tokens_in", "tokens_out", "cost_nano_usd")}
            yield {"block": block, "name": name, "completions": count, **amounts, "cost": usd(amounts["cost_nano_usd"] / 1e9)}


def _reasons(seen: Mapping[str, Seen]) -> Iterator[dict[str, Any]]:
    for block, traits in seen.items():
        found = traits.get("finish_reason", {})
        for name, count in by_amount(found):
            yield {"block": block, "name": name, "count": count, "share": count / sum(found.values())}


def _charts(seen: Mapping[str, Seen], timeline: Mapping[str, Any] | None) -> Iterator[tuple[str, Any]]:
    whole = Frequencies()
    for traits in seen.values():
        whole.add(traits)
    for trait, title, unit in (
        ("seconds", "Latency of completions", " s"),
        ("prompt_tokens", "Tokens of a prompt", ""),
        ("reply_tokens", "Tokens of a reply", ""),
    ):
        found = Histogram(whole.get(trait, {}))
        if found.total:
            middle, high = (found.quantile(one) or 0.0 for one in (0.5, 0.99))
            says = f"{title}: half below {compact(middle)}{unit}, 99 % below {compact(high)}{unit}"
            yield says, histogram(found.bins(), says, unit)
    if timeline and len(timeline["in_flight"]) > 1:
        over = Timeline.from_json(timeline)
        end = f"{over.every * (len(over.moments) - 1):,.0f} s"
        flying = [moment.in_flight for moment in over.moments]
        if max(flying):
            says = f"Calls in flight over time, {max(flying):,} at most"
            yield says, area(flying, says, end)
        rates = [
            max(0.0, (later.answers - one.answers) / over.every)
            for one, later in zip(over.moments, over.moments[1:], strict=False)
        ]
        if any(rates):
            says = f"Answers a second over time, {max(rates):,.1f} at most"
            yield says, area(rates, says, end)


def _profile(profile: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not profile or not profile["rows"]:
        return None
    columns = profile["columns"]
    charts = []
    for column in columns:
        found = Histogram(column["lengths"])
        if found.total > 1:
            says = f"Lengths of {column['name']}: half below {compact(found.quantile(0.5) or 0.0)}"
            charts.append((says, histogram(found.bins(), says)))
    repeats = profile["repeats"]
    return {
        "rows": profile["rows"],
        "repeats": repeats,
        "repeat_share": (repeats or 0) / profile["rows"],
        "columns": [_column(column) for column in columns],
        "charts": charts,
        "labelled": [
            {
                "name": column["name"],
                "labels": [(label, column["labels"][label], part) for label, part in label_shares(column)][:_MOST_LABELS],
            }
            for column in columns
            if column["labels"]
        ],
    }


def _column(column: Mapping[str, Any]) -> dict[str, Any]:
    def told(name: str) -> str:
        return "·" if column.get(name) is None else compact(column[name])

    repeats = column.get("repeats")
    return {
        "name": column["name"],
        "type": column["type"],
        "nulls": column["nulls"],
        "repeat_share": "·" if repeats is None else share(repeats / max(1, column["rows"])),
        "least": told("min"),
        "most": told("max"),
        **{name: told(name) for name in ("p5", "p50", "p95")},
    }


def _provenance(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a manifest says in a few lines."""
    if not manifest:
        return []
    flow, git, programs = manifest["flow"], manifest["git"], manifest["programs"]
    found = [("flow", f"{flow['file']}, key {flow['key']}")]
    found += [("flow file", _file(file)) for file in manifest["flow_files"]]
    if git:
        found.append(("git revision", f"{git['revision']}{', with changes that are not in it' if git['is_changed'] else ''}"))
    found.append(("seeds", f"{manifest['input']['rows']:,} rows of {manifest['input']['source']}"))
    found += [("seeds' file", _file(file)) for file in manifest["input"]["files"]]
    found += [("output's file", _file(file)) for file in manifest["output"]["files"]]
    for name, model in flow["models"].items():
        served = {one for block in manifest["served_models"].values() for one in block}
        where = ", ".join(model["addresses"])
        found.append((f"model {name}", f"{model['model']} at {where}{' (simulated)' if model['is_simulated'] else ''}"))
        if len(flow["models"]) == 1 and served:
            found.append(("served as", ", ".join(sorted(served))))
    packages = ", ".join(f"{name} {version}" for name, version in programs["packages"].items())
    found.append(("programs", f"Python {programs['python']} on {programs['system']}: {packages}"))
    return found


def _file(file: Mapping[str, Any]) -> str:
    return f"{file['name']}, {file['size']:,} bytes, SHA-256 {file['sha256']}"
