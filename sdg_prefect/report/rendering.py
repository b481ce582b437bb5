"""A report as Markdown and as plain lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sdg_prefect.counts import Counts
from sdg_prefect.report.inert import in_markdown
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.report.wording import small_usd

_HEAD = (
    "block",
    "rows in",
    "rows out",
    "passed by",
    "filtered",
    "duplicates",
    "rejected",
    "calls",
    "replayed",
    "tokens in",
    "of them cached",
    "tokens out",
    "seconds",
)
_ALWAYS = 3


def block_table(report: RunReport) -> list[Sequence[str]]:
    """Return the report's table of blocks: a head, then a row per block. What no block has is left out, zeros are dots."""
    rows: list[Sequence[str]] = [_HEAD]
    for tally in report.blocks:
        c = tally.counts
        numbers = (c.rows_in, c.rows_out, c.skipped, c.filtered, c.deduplicated, c.rejected, c.llm_calls, c.replayed, c.tokens_in)
        cells = (*map(_number, numbers), _cached(c), _number(c.tokens_out), f"{tally.seconds:.1f}")
        rows.append((tally.name, *cells))
    kept = [place for place in range(len(_HEAD)) if place < _ALWAYS or any(row[place] != "·" for row in rows[1:])]
    return [[row[place] for place in kept] for row in rows]


def _number(number: int) -> str:
    return f"{number:,}" if number else "·"


def _cached(counts: Counts) -> str:
    return f"{counts.tokens_cached:,} ({counts.cached_share:.0%})" if counts.tokens_cached else "·"


def headline(report: RunReport) -> str:
    """Say in one line how a run went."""
    if report.status == "nothing_new":
        return f"nothing new: {_version(report.version)}"
    total = report.total
    parts = [f"{report.rows_in:,} rows in", f"{report.rows_out:,} rows out"]
    if report.target:
        parts[1] = f"{report.rows_out:,} of {report.target['rows']:,} rows"
        parts += [f"{report.target['surplus']:,} more than wanted"] if report.target["surplus"] else []
    parts += [f"{total.filtered:,} filtered"] if total.filtered else []
    parts += [f"{total.deduplicated:,} duplicates"] if total.deduplicated else []
    parts += [f"{total.rejected:,} rejected"] if total.rejected else []
    parts += [f"{report.rows_quarantined:,} kept apart"] if report.rows_quarantined else []
    parts += [f"{total.llm_calls:,} calls", f"{total.replayed:,} replayed"] if total.llm_calls or total.replayed else []
    if total.tokens_cached:
        parts.append(f"{total.cached_share:.0%} of the prompts' tokens cached")
    if total.cost_usd:
        parts.append(f"${total.cost_usd:.4f}")
    if report.cost_per_row:
        parts.append(f"{small_usd(report.cost_per_row)} a row")
    if not total.cost_known:
        parts.append("price unknown" if not total.cost_usd else "and calls of unknown price")
    return f"{report.status.replace('_', ' ')}: {', '.join(parts)} in {report.seconds:.1f} s"


def report_markdown(report: RunReport) -> str:
    """Write a report as Markdown, for an artifact."""
    table = block_table(report)
    lines = [f"## {headline(report)}", "", "| " + " | ".join(table[0]) + " |", "|" + "---|" * len(table[0])]
    lines += ["| " + " | ".join(in_markdown(cell) for cell in row) + " |" for row in table[1:]]
    lines += ["", f"Run `{report.run_id}` in store `{report.storage}`."]
    lines += [f"Output: `{report.output}`"] if report.output else []
    lines += [f"Error: {in_markdown(report.error)}"] if report.error else []
    lines += [f"- {in_markdown(warning)}" for warning in report.warnings]
    if report.gates:
        lines += ["", "| expected | holds | found |", "|---|---|---|"]
        lines += [
            f"| {in_markdown(_gate_name(gate))} | {'yes' if gate['holds'] else '**no**'} | {in_markdown(gate['says'])} |"
            for gate in report.gates
        ]
    return "\n".join(lines)


def _version(version: Mapping[str, Any] | None) -> str:
    """Say in one line which version an output holds."""
    if not version or not version["number"]:
        return "there are no seeds yet"
    added = f", {version['rows_added']:,} rows of them new" if version["rows_added"] else ""
    return f"version {version['number']} has {version['rows']:,} rows of {version['seeds']:,} seeds{added}"


def stored_report_text(report: Mapping[str, Any]) -> str:
    """Write the report of an earlier run, as its JSON has it, as lines for people."""
    numbers = ("rows_in", "rows_out", "filtered", "deduplicated", "rejected", "llm_calls", "replayed", "seconds")
    head = ("block", *(name.replace("llm_", "").replace("_", " ") for name in numbers))
    rows = [head, *((str(block["name"]), *(f"{block[name]:,}" for name in numbers)) for block in report["blocks"])]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lines = [f"{report['flow']}, run {report['run_id']}: {str(report['status']).replace('_', ' ')} in {report['seconds']} s"]
    for row in rows:
        cells = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells))
    lines += _gate_lines(report.get("gates", ()))
    # A run whose rows were all kept apart left its output as it was.
    lines += [f"output: {report['output']}"] if report.get("output") and report["status"] != "quarantined" else []
    lines += [f"error: {report['error']}"] if report.get("error") else []
    return "\n".join(lines)


def _gate_name(gate: Mapping[str, Any]) -> str:
    return str(gate["kind"]).replace("_", " ") + (f" at {gate['block']}" if gate["block"] else "")


def _gate_lines(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say of each gate whether it holds."""
    return [f"{'as expected' if gate['holds'] else 'NOT as expected'}: {_gate_name(gate)}: {gate['says']}" for gate in gates]


def closing_lines(report: RunReport) -> list[str]:
    """Say how a run went and where to look, for the end of a terminal's output."""
    lines = [headline(report), *_gate_lines([gate for gate in report.gates if not gate["holds"]])]
    rejected = report.total.rejected
    if rejected:
        rows = f"{rejected:,} rows were" if rejected > 1 else "1 row was"
        lines.append(f"why {rows} rejected: python -m sdg_prefect rejects {report.run_id} --storage {report.storage}")
    if report.rows_quarantined:
        lines.append(f"rows that were kept apart: {report.storage}/runs/{report.run_id}/quarantine.parquet")
    lines += [f"rows: {report.output}"] if report.output and report.rows_out else []
    lines += [f"      {_version(report.version)}"] if report.version and report.blocks else []
    lines += [f"page: {report.storage}/runs/{report.run_id}/report.html"] if report.blocks else []
    lines += [f"run:  {report.ui_url}"] if report.ui_url else []
    return lines
