"""Removing from a store what is no longer wanted. Records go before their data, so that a stop in between does no harm."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.errors import StoreError
from sdg_prefect.store.checkpoints import RECORD, BrokenRecord, Checkpoint
from sdg_prefect.store.housekeeping.guard import Guard
from sdg_prefect.store.housekeeping.records import RECORDED, read_records
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.listing import StoredFile
from sdg_prefect.store.runs import USES_FILE

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

_HALF_WRITTEN = re.compile(r"(^|/)\.[^/]+\.[0-9a-f]{32}\.tmp$")
"""A file that a write was cut short of putting in its place."""
LOCKS = "claims/locks"
"""The file by which runs on one machine keep apart: empty, and for all of them the same."""
_AT_ONCE = 500
"""Files removed between two looks at which runs are on."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants removed."""

    unused_since: float | None = None
    """What no run has used since this moment, in Unix time."""
    run_ids: tuple[str, ...] = ()
    """What these runs refer to and no other does, and their reports."""
    unreferenced: bool = False
    """What crashes and replaced records left behind."""
    damaged: bool = False
    """What was found damaged and set aside."""
    ledger: bool = False
    """Completions too, though they were paid for."""


@dataclass(slots=True)
class Pruning:
    """What would go, and what stays though it was wanted."""

    going: dict[str, StoredFile] = field(default_factory=dict)
    """By path."""
    paid: list[StoredFile] = field(default_factory=list)
    """Files of completions that would go as well if completions might."""
    kept: int = 0
    """Files that stay because a run that is on may need them."""

    def parts(self) -> dict[str, list[StoredFile]]:
        """Return what goes by part of the store, such as ``checkpoints``."""
        found: dict[str, list[StoredFile]] = {}
        for file in self.going.values():
            found.setdefault(file.path.split("/")[0], []).append(file)
        return found

    @property
    def ledger_files(self) -> list[StoredFile]:
        """The files of completions that go."""
        return self.parts().get("ledger", [])


def choose(survey: Survey, wanted: Wanted) -> Pruning:
    """Find what goes; nothing is removed."""
    units: set[str] = set()
    if wanted.unused_since is not None:
        units |= _unused(survey, wanted.unused_since, wanted.ledger)
    if wanted.run_ids:
        units |= survey.only_of(wanted.run_ids) | {f"runs/{run_id}" for run_id in wanted.run_ids}
    if wanted.damaged:
        units |= {unit for unit in survey.units if unit.startswith("damaged/")}
    files = [file for unit in units for file in survey.units.get(unit, ())]
    if wanted.unreferenced:
        files += _leftovers(survey)
    pruning, guard = Pruning(), Guard.of(survey.root)
    for file in sorted(set(files), key=lambda file: file.path):
        if guard.keeps(file.path):
            pruning.kept += 1
        elif file.path.startswith("ledger/") and not wanted.ledger:
            pruning.paid.append(file)
        else:
            pruning.going[file.path] = file
    return pruning


def _unused(survey: Survey, since: float, ledger: bool) -> set[str]:
    """Find what no run has used since a moment. A run's reports stay as long as completions of it do: they explain them."""
    # What a batch holds is paid for like what the ledger has.
    parts = ("checkpoints", "ledger", "inputs", *(("batches",) if ledger else ()))
    going = {unit for unit, last in survey.last_used.items() if last <= since and unit.split("/")[0] in parts}
    for run_id, units in survey.referred.items():
        stays = any(unit.startswith("ledger/") and not (ledger and unit in going) for unit in units)
        if not stays and survey.last_used[f"runs/{run_id}"] <= since:
            going.add(f"runs/{run_id}")
    return going


def _leftovers(survey: Survey) -> list[StoredFile]:
    """Find what no record names. Completions are never among it."""
    loose = [file for file in survey.files if _HALF_WRITTEN.search(file.path) or file.path.startswith(("tmp/", "claims/"))]
    found = [file for file in loose if file.path != LOCKS]
    referred = {unit for units in survey.referred.values() for unit in units}
    found += [
        file for unit, files in survey.units.items() if unit.startswith("inputs/") and unit not in referred for file in files
    ]
    recorded = {unit: files for unit, files in survey.units.items() if unit.split("/")[0] in RECORDED}
    having = [unit for unit, files in recorded.items() if any(file.path == f"{unit}/{RECORD}" for file in files)]
    records = read_records(survey.root, having)
    for unit, files in recorded.items():
        record = records.get(unit)
        if not isinstance(record, BrokenRecord):
            # A record that cannot be read may be of a newer version: its data stays.
            found += [file for file in files if record is None or not _belongs(file, unit, record)]
    return found


def _belongs(file: StoredFile, unit: str, record: Checkpoint) -> bool:
    """True for a record and for what it names."""
    return file.path == f"{unit}/{RECORD}" or file.path.startswith(f"{record.folder}/")


def remove(root: Root, files: Iterable[StoredFile]) -> list[StoredFile]:
    """Remove files, records first, and return those that are gone.

    A run that has begun in the meantime keeps what it may need.

    Raises:
        StoreError: A file cannot be removed.
    """
    gone: list[StoredFile] = []
    ordered = sorted(files, key=lambda file: (_rank(file.path), file.path))
    for start in range(0, len(ordered), _AT_ONCE):
        guard = Guard.of(root)
        batch = [file for file in ordered[start : start + _AT_ONCE] if not guard.keeps(file.path)]
        try:
            _remove_files(root, [file.path for file in batch])
        except OSError as error:
            raise StoreError(f"cannot remove files of {root.uri}: {error.strerror or error}.") from error
        gone += batch
    return gone


def _rank(path: str) -> int:
    """Say when a file goes: what says that others are there goes before them, and what a run refers to before the run."""
    name = path.rsplit("/", 1)[-1]
    if path.startswith("runs/"):
        return 4 if name == USES_FILE else 3
    if name == RECORD:
        return 0
    return 1 if name == "state.json" or name.endswith(".index") else 2


def _remove_files(root: Root, paths: Sequence[str]) -> None:
    if root.is_remote:
        if paths:
            root.filesystem.rm([root.path(path) for path in paths])
        return
    for path in paths:
        with suppress(FileNotFoundError):
            (os.rmdir if path.endswith("/") else os.unlink)(root.path(path).rstrip("/"))
    for folder in sorted({path.rstrip("/").rsplit("/", 1)[0] for path in paths}, key=len, reverse=True):
        _remove_empty(root, folder)


def _remove_empty(root: Root, folder: str) -> None:
    """Remove a folder that is empty, and those above it that become so; the parts of the store themselves stay."""
    while "/" in folder:
        with suppress(OSError):
            os.rmdir(root.path(folder))
        folder = folder.rsplit("/", 1)[0]
