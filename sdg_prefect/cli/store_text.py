"""What the ``store`` commands say, as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdg_prefect.store.housekeeping.holdings import Holding, RunEntry
    from sdg_prefect.store.housekeeping.paid import Paid
    from sdg_prefect.store.housekeeping.pruning import Pruning
    from sdg_prefect.store.housekeeping.verifying import Verified
    from sdg_prefect.store.listing import StoredFile

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size_text(size: float) -> str:
    """Write bytes as people say them: ``41.2 kB``."""
    if size < 999.95:
        return f"{size:.0f} B"
    power = 0
    while size >= 999.95 and power < len(_UNITS):
        size /= 1000
        power += 1
    return f"{size:.1f} {_UNITS[power - 1]}"


def when_text(moment: str | None) -> str:
    """Write an ISO time as people read it, in the zone of this machine."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M") if moment else "?"


def count_text(number: int, word: str) -> str:
    """Write a number of things: ``1 file``, ``2 files``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _table(rows: Sequence[Sequence[str]], right: set[int]) -> str:
    """Align cells; the columns in ``right`` to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(widths[place]) if place in right else cell.ljust(widths[place]) for place, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def runs_text(entries: Sequence[RunEntry]) -> str:
    """Write runs as a table, newest last."""
    if not entries:
        return "the store has no runs"
    head = ("run", "flow", "status", "started", "rows in", "rows out", "calls", "replayed", "cost", "only its own", "output")
    rows: list[Sequence[str]] = [head]
    for entry in entries:
        numbers = (entry.rows_in, entry.rows_out, entry.llm_calls, entry.llm_replayed)
        shown = (f"{number:,}" if number is not None else "·" for number in numbers)
        status = entry.status.replace("_", " ")
        rows.append(
            (
                entry.run_id,
                entry.flow or "·",
                status,
                when_text(entry.started),
                *shown,
                _cost(entry),
                size_text(entry.size),
                entry.output or "·",
            )
        )
    return _table(rows, {4, 5, 6, 7, 8, 9})


def _cost(entry: RunEntry) -> str:
    if entry.cost_usd is None:
        return "·"
    return f"${entry.cost_usd:,.4f}{'' if entry.cost_known else ' + ?'}"


def sizes_text(found: Sequence[Holding]) -> str:
    """Write what takes how much room as a table, and the total."""
    from sdg_prefect.store.housekeeping.holdings import PARTS, total

    rows: list[Sequence[str]] = [("", "files", "size", "last used", "")]
    for one in found:
        title = f"  {one.name or 'of no run that is known'}" if one.key else one.part
        about = one.key or PARTS[one.part]
        rows.append((title, f"{one.files:,}", size_text(one.size), when_text(one.last_used), about))
    files, size = total(found)
    rows.append(("total", f"{files:,}", size_text(size), "", ""))
    return _table(rows, {1, 2})


def pruning_text(pruning: Pruning, going: Paid, staying: Paid, uri: str) -> str:
    """Say what would go, and what stays though it was wanted."""
    from sdg_prefect.store.housekeeping.holdings import PARTS

    lines = []
    if pruning.going:
        rows = [
            (f"  {part}", count_text(len(files), "file"), size_text(_bytes(files)), PARTS.get(part, ""))
            for part, files in sorted(pruning.parts().items())
        ]
        files = list(pruning.going.values())
        rows.append(("  total", count_text(len(files), "file"), size_text(_bytes(files)), ""))
        lines += [f"to be removed from {uri}:", _table(rows, {1, 2})]
        lines += [f"  among it {going}"] if going.completions else []
    else:
        lines.append(f"there is nothing to remove from {uri}")
    if pruning.paid:
        lines.append(f"to stay: {staying} ({size_text(_bytes(pruning.paid))}); --ledger removes them too")
    if pruning.kept:
        lines.append(f"to stay: {count_text(pruning.kept, 'file')} that a run which is on may need")
    return "\n".join(lines)


def pruning_json(pruning: Pruning, going: Paid, staying: Paid, uri: str, gone: Sequence[StoredFile] | None) -> dict[str, Any]:
    """Say the same as a JSON object; ``removed`` is null where nothing was to be removed yet."""
    parts = {part: {"files": len(files), "size": _bytes(files)} for part, files in sorted(pruning.parts().items())}
    return {
        "storage": uri,
        "files": len(pruning.going),
        "size": _bytes(list(pruning.going.values())),
        "parts": parts,
        "completions": going.completions,
        "cost_usd": round(going.cost_usd, 6),
        "cost_known": going.cost_known,
        "completions_kept": staying.completions,
        "files_kept_for_runs": pruning.kept,
        "removed": None if gone is None else len(gone),
    }


def findings_text(verified: Verified) -> str:
    """Say what was found damaged, and how much was read."""
    lines = [f"{finding.path}: {finding.problem}" for finding in verified.findings]
    read = ", ".join(count_text(number, word) for word, number in verified.read.items())
    damaged = len(verified.findings)
    lines.append(f"{read}: {count_text(damaged, 'file') + ' damaged' if damaged else 'all is sound'}")
    if damaged:
        lines.append(
            "the run that needs a damaged checkpoint makes it again; a completion that cannot be read is asked for again"
        )
    if verified.set_aside:
        lines.append(f"{count_text(verified.set_aside, 'file')} found damaged before; 'store prune --damaged' removes them")
    return "\n".join(lines)


def _bytes(files: Sequence[StoredFile]) -> int:
    return sum(file.size for file in files)
