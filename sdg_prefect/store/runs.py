"""What a run leaves in the store: its plan, its report, its rejected rows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.listing import read_files
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

REJECTS_FILE = "rejects.parquet"
REPORT_FILE = "report.json"
QUARANTINE_FILE = "quarantine.parquet"
_PAGE = "report.html"
USES_FILE = "uses.json"
"""What a run works with: ``{flow, file, input, steps: [{name, type, key, ledger_key, parts}]}``; when it has ended also
``checkpoints``, the folders of those that it made or found."""


def write_plan(root: Root, run_id: str, plan: str) -> None:
    """Write the plan of a run, for people."""
    root.write(f"{plan}\n".encode(), "runs", run_id, "plan.txt")


def write_report(root: Root, run_id: str, report: Mapping[str, Any]) -> None:
    """Write the report of a run."""
    content = json.dumps(report, ensure_ascii=False, indent=1)
    root.write(f"{content}\n".encode(), "runs", run_id, REPORT_FILE)


def write_page(root: Root, run_id: str, page: str, name: str = _PAGE) -> str:
    """Write the report of a run as a page, and say where it is."""
    root.write(page.encode(), "runs", run_id, name, is_durable=False)
    return root.url("runs", run_id, name)


def has_report(root: Root, run_id: str) -> bool:
    """True if a run has written its report."""
    return root.exists("runs", run_id, REPORT_FILE)


def write_uses(root: Root, run_id: str, uses: Mapping[str, Any]) -> None:
    """Write what a run works with: its flow, its steps with their keys, its seeds. Written before the first block begins."""
    root.write(json.dumps(uses, ensure_ascii=False, indent=1).encode(), "runs", run_id, USES_FILE)


def read_uses(root: Root, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read what runs work with, by their ids; those that ended before their first block are left out."""
    return read_objects(root, run_ids, USES_FILE)


def write_rejects(root: Root, run_id: str, rejects: Sequence[Reject]) -> None:
    """Write the rejected rows of a run as Parquet: one row each, with the reason."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([reject.model_dump() for reject in rejects])
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    root.write(buffer.getvalue(), "runs", run_id, REJECTS_FILE)


def write_quarantine(root: Root, run_id: str, rows: pa.Table) -> None:
    """Write the rows of a run that break what its flow expects, with their ids, as Parquet."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(rows, buffer)
    root.write(buffer.getvalue(), "runs", run_id, QUARANTINE_FILE)


def run_ids(root: Root) -> list[str]:
    """Return the runs of a store, oldest first: their ids start with their time."""
    folder = root.path("runs")
    root.filesystem.invalidate_cache(folder)
    if not root.exists("runs"):
        return []
    found = root.filesystem.ls(folder, detail=True)
    return sorted(entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in found if entry["type"] == "directory")


def read_reports(root: Root, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read the reports of runs, by their ids; those that have none, for they are still on or were killed, are left out."""
    return read_objects(root, run_ids, REPORT_FILE)


def read_objects(root: Root, run_ids: Iterable[str], name: str) -> dict[str, dict[str, Any]]:
    """Read a file of many runs at once; what is not there or not whole is left out."""
    paths = {f"runs/{run_id}/{name}": run_id for run_id in run_ids}
    found: dict[str, dict[str, Any]] = {}
    for path, content in read_files(root, paths).items():
        with suppress(ValueError):
            found[paths[path]] = json.loads(content)
    return found


def read_rejects_of(root: Root, run_id: str) -> list[dict[str, Any]]:
    """Read the rejected rows of a run; none where it rejected none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not root.exists("runs", run_id, REJECTS_FILE):
        return []
    content = pa.BufferReader(root.read("runs", run_id, REJECTS_FILE))
    # Without threads: one that just begins when a short command ends makes the process abort (seen with pyarrow 26).
    rows: list[dict[str, Any]] = pq.ParquetFile(content).read(use_threads=False).to_pylist()
    return rows
