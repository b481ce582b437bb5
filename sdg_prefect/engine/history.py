"""What earlier runs of a flow tell about the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from sdg_prefect.plan.plan import Step
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_reports, read_uses, run_ids

_LOOK_BACK = 50
"""Runs that are looked at, from the newest."""


@dataclass
class History:
    """The earlier runs of one flow, newest first; read when somebody asks."""

    root: Root
    flow: str

    @cached_property
    def uses(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The runs with what they used."""
        newest = run_ids(self.root)[-_LOOK_BACK:]
        found = read_uses(self.root, newest)
        return [(run_id, found[run_id]) for run_id in reversed(newest) if found.get(run_id, {}).get("flow") == self.flow]

    @cached_property
    def _reports(self) -> list[Mapping[str, Any]]:
        """The reports of the runs; one that was killed has none."""
        found = read_reports(self.root, [run_id for run_id, _ in self.uses])
        return [found[run_id] for run_id, _ in self.uses if run_id in found]

    def block(self, label: str, having: Literal["rows_in", "llm_calls"]) -> Mapping[str, Any] | None:
        """Return a block's part of the newest report in which it had rows, or made calls."""
        for report in self._reports:
            for block in report["blocks"]:
                if block["name"] == label and block[having]:
                    found: Mapping[str, Any] = block
                    return found
        return None

    @property
    def rows_per_candidate(self) -> float | None:
        """How many rows a candidate gave in the newest run with a target; None where there was none."""
        rates = (target.get("rows_per_candidate") for report in self._reports if (target := report.get("target")))
        return next((rate for rate in rates if rate), None)

    def why_not(self, step: Step) -> str:
        """Say why a step finds no work of earlier runs: what its key is made of now and was not then."""
        if any(step.key == known["key"] for _, uses in self.uses for known in uses["steps"]):
            return "its rows are new or changed"
        for run_id, uses in self.uses:
            for known in uses["steps"]:
                if known["name"] == step.name:
                    names = [
                        name for name in {**known["parts"], **step.parts} if known["parts"].get(name) != step.parts.get(name)
                    ]
                    return f"changed since run {run_id}: {', '.join(names) or 'the version of this program'}"
        return "this block is new" if self.uses else ""
