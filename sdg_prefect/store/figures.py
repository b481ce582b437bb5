"""The figures of a run: what its report shows beyond counts, as JSON, so that the page can be made again and runs be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_objects, read_reports, run_ids

FIGURES_FILE = "figures.json"
"""``{blocks: {label: seen}, timeline, profile, rejects: [{block, error, rows, examples}], samples: [story]}``."""
_LOOK_BACK = 50


def write_figures(root: Root, run_id: str, figures: Mapping[str, Any]) -> None:
    """Write the figures of a run."""
    root.write(json.dumps(figures, ensure_ascii=False, default=str).encode(), "runs", run_id, FIGURES_FILE, is_durable=False)


def read_figures(root: Root, run_id: str) -> dict[str, Any]:
    """Read the figures of a run; none where it left none, as one of an earlier version or one that was killed."""
    return read_objects(root, [run_id], FIGURES_FILE).get(run_id, {})


def last_profile(root: Root, flow: str, before: str) -> dict[str, Any] | None:
    """Return the profile of the output of a flow's last run that was completed before another one, with its ``run_id``.

    Args:
        root: The store.
        flow: The name of the flow.
        before: A run; those that began after it do not count.
    """
    for run_id in reversed([one for one in run_ids(root) if one < before][-_LOOK_BACK:]):
        report = read_reports(root, [run_id]).get(run_id, {})
        if report.get("flow") == flow and str(report.get("status", "")).startswith("completed"):
            profile = read_figures(root, run_id).get("profile")
            if profile:
                return {**profile, "run_id": run_id}
    return None
