"""What a store holds, for people: its runs, and what takes how much room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sdg_prefect.store.housekeeping.guard import Guard
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.runs import read_reports

PARTS = {
    "checkpoints": "finished shards",
    "ledger": "completions that were paid for",
    "inputs": "seeds as shards",
    "runs": "plans, reports and rejected rows",
    "batches": "requests that are with providers in batches",
    "damaged": "what was found damaged and set aside",
    "claims": "which run works on what",
    "reviews": "what people were asked about rows, and decided",
    "tmp": "folders being written",
    "other": "files that are not the store's",
}
"""The parts of a store, and what is in them."""
_KEYED = ("checkpoints", "ledger")
_TOLD = (
    "flow",
    "rows_in",
    "rows_out",
    "rows_rejected",
    "llm_calls",
    "llm_replayed",
    "cost_usd",
    "cost_known",
    "seconds",
    "output",
)
"""What the list of runs takes from their reports."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run as the list of runs shows it; what its report would say is None where it has none."""

    run_id: str
    flow: str | None
    status: str
    """That of its report; ``running``, or ``crashed`` where it ended without one."""
    started: str | None
    """Time of its start, ISO 8601, UTC."""
    rows_in: int | None
    rows_out: int | None
    rows_rejected: int | None
    llm_calls: int | None
    llm_replayed: int | None
    cost_usd: float | None
    cost_known: bool | None
    seconds: float | None
    size: int
    """Bytes that only this run refers to, its reports among them."""
    output: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Holding:
    """A part of a store, or one block's share of it, and its size."""

    part: str
    key: str
    """The block's key; empty for a part as a whole."""
    name: str
    """The block's name and type, as the latest run that used it has them; empty where no run is left that does."""
    files: int
    size: int
    """Bytes."""
    last_used: str | None
    """When it was written, or the last run that uses it was on: ISO 8601, UTC."""

    def to_json(self) -> dict[str, Any]:
        """Return the holding as a JSON object."""
        return asdict(self)


def run_entries(survey: Survey) -> list[RunEntry]:
    """List the runs of a store, oldest first."""
    reports = read_reports(survey.root, survey.uses)
    living = Guard.of(survey.root).living
    return [_entry(survey, run_id, reports.get(run_id), is_on=run_id in living) for run_id in sorted(survey.uses)]


def _entry(survey: Survey, run_id: str, report: Mapping[str, Any] | None, *, is_on: bool) -> RunEntry:
    told = report or {}
    status = "running" if is_on else str(told.get("status", "crashed"))
    uses = survey.uses[run_id]
    values: dict[str, Any] = {name: told.get(name) for name in _TOLD}
    values["flow"] = values["flow"] or (uses.flow if uses else None)
    size = sum(survey.size(unit) for unit in (f"runs/{run_id}", *survey.only_of([run_id])))
    return RunEntry(run_id=run_id, status=status, started=_time_of(run_id), size=size, **values)


def _time_of(run_id: str) -> str | None:
    """Return when a run started, which its id says."""
    try:
        return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).isoformat()
    except ValueError:
        return None


def holdings(survey: Survey) -> list[Holding]:
    """Measure the parts of a store, each followed by its blocks, the largest first."""
    return [holding for part in PARTS for holding in _holdings(survey, part)]


def _holdings(survey: Survey, part: str) -> Iterator[Holding]:
    units = [unit for unit in survey.units if _part_of(unit) == part]
    if not units:
        return
    yield _holding(survey, part, "", units)
    if part in _KEYED:
        by_key: dict[str, list[str]] = {}
        for unit in units:
            by_key.setdefault(unit.split("/")[1], []).append(unit)
        blocks = [_holding(survey, part, key, of_key) for key, of_key in by_key.items()]
        yield from sorted(blocks, key=lambda block: (-block.size, block.key))


def _part_of(unit: str) -> str:
    word, slash, _ = unit.partition("/")
    return word if slash and word in PARTS else "other"


def _holding(survey: Survey, part: str, key: str, units: Sequence[str]) -> Holding:
    last = max(survey.last_used[unit] for unit in units)
    return Holding(
        part=part,
        key=key,
        name=survey.names.get(f"{part}/{key}", ""),
        files=sum(len(survey.units[unit]) for unit in units),
        size=sum(survey.size(unit) for unit in units),
        last_used=datetime.fromtimestamp(last, UTC).isoformat(timespec="seconds"),
    )


def total(found: Sequence[Holding]) -> tuple[int, int]:
    """Return the files and bytes of a store."""
    parts = [holding for holding in found if not holding.key]
    return sum(part.files for part in parts), sum(part.size for part in parts)
