"""Reading all of a store to find what is damaged. Nothing is changed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sdg_prefect.store.checkpoints import RECORD, BrokenRecord
from sdg_prefect.store.housekeeping.guard import Guard
from sdg_prefect.store.housekeeping.records import RECORDED, for_each, read_one
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.integrity import DAMAGED, find_damage
from sdg_prefect.store.ledger.segments import INDEX, SEGMENT, decode_index, scan
from sdg_prefect.store.listing import StoredFile

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is gone or damaged."""

    path: str
    """Below the store's root."""
    problem: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read, and what of it is damaged."""

    read: dict[str, int]
    """How many of each kind were read, by a word for one of them."""
    findings: tuple[Finding, ...]
    set_aside: int
    """Files that were found damaged by earlier runs, which made them again."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        findings = [{"path": finding.path, "problem": finding.problem} for finding in self.findings]
        return {"read": self.read, "damaged": findings, "set_aside": self.set_aside}


def verify(survey: Survey) -> Verified:
    """Read every checkpoint, completion and seed, and the reports."""
    root = survey.root
    kept = {part: [unit for unit, files in survey.units.items() if _is_recorded(unit, part, files)] for part in RECORDED}
    segments = [file.path for file in survey.files if file.path.startswith("ledger/") and file.path.endswith(SEGMENT)]
    indexes = {file.path for file in survey.files if file.path.endswith(INDEX)}
    reports = [file.path for file in survey.files if file.path.startswith("runs/") and file.path.endswith((".json", ".parquet"))]
    found = [
        *for_each([unit for units in kept.values() for unit in units], partial(_check_data, root)).values(),
        *for_each(segments, partial(_check_segment, root, Guard.of(root), indexes)).values(),
        *for_each(reports, partial(_check_report, root)).values(),
    ]
    read = {
        "checkpoint": len(kept["checkpoints"]),
        "ledger file": len(segments),
        "input": len(kept["inputs"]),
        "run": len(survey.uses),
    }
    findings = sorted((finding for some in found for finding in some), key=lambda finding: finding.path)
    aside = sum(file.path.startswith(f"{DAMAGED}/") for file in survey.files)
    return Verified(read, tuple(findings), aside)


def _is_recorded(unit: str, part: str, files: Iterable[StoredFile]) -> bool:
    return unit.startswith(f"{part}/") and any(file.path == f"{unit}/{RECORD}" for file in files)


def _check_data(root: Root, folder: str) -> list[Finding]:
    """Compare the data of a checkpoint, or of seeds, with its record."""
    checkpoint = read_one(root, folder)
    if isinstance(checkpoint, BrokenRecord):
        return [Finding(f"{folder}/{RECORD}", checkpoint.what)]
    if checkpoint is None:
        return []
    damages = find_damage(root, checkpoint.folder, checkpoint.files, is_whole=True)
    if damages and read_one(root, folder) != checkpoint:
        return []  # a run has made it anew meanwhile, or somebody has removed it
    return [Finding(f"{damage.folder}/{damage.file.name}", damage.what) for damage in damages]


def _check_segment(root: Root, guard: Guard, indexes: set[str], path: str) -> list[Finding]:
    """Check each completion of a file, and the index of that. A last line that was cut short is what a kill leaves."""
    content = _content(root, path)
    if content is None:
        return []
    found = []
    if damaged := scan(content).damaged:
        found.append(Finding(path, f"has {damaged:,} completion{'' if damaged == 1 else 's'} that cannot be read"))
    index = path.removesuffix(SEGMENT) + INDEX
    if index in indexes and not guard.keeps(index):
        places = _content(root, index)
        if places is not None and decode_index(places, len(content)) is None:
            found.append(Finding(index, f"is not the index of {path.rsplit('/', 1)[-1]}; it can be removed"))
    return found


def _check_report(root: Root, path: str) -> list[Finding]:
    content = _content(root, path)
    try:
        if content is not None and path.endswith(".json"):
            json.loads(content)
        elif content is not None:
            import pyarrow.parquet as pq

            pq.read_table(io.BytesIO(content))
    except (ValueError, OSError) as error:
        return [Finding(path, f"cannot be read: {str(error).splitlines()[0]}")]
    return []


def _content(root: Root, path: str) -> bytes | None:
    """Read a file; None if it has gone since the store was listed."""
    try:
        return root.read(path)
    except FileNotFoundError:
        return None
