"""What earlier runs of a flow tell about the next one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sdg_prefect.plan.plan import Step
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_report, read_uses, run_ids

_LOOK_BACK = 50
"""Runs that are looked at, from the newest."""


@dataclass
class History:
    """The earlier runs of one flow, newest first; read when somebody asks."""

    root: Root
    flow: str
    _reports: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @cached_property
    def uses(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The runs with what they used."""
        newest = reversed(run_ids(self.root)[-_LOOK_BACK:])
        found = ((run_id, read_uses(self.root, run_id)) for run_id in newest)
        return [(run_id, uses) for run_id, uses in found if uses.get("flow") == self.flow]

    def block(self, label: str) -> Mapping[str, Any] | None:
        """Return a block's part of the newest report in which the block had rows."""
        for run_id, _ in self.uses:
            for block in self._report(run_id).get("blocks", ()):
                if block["name"] == label and block["rows_in"]:
                    found: Mapping[str, Any] = block
                    return found
        return None

    def paid_block(self, label: str) -> Mapping[str, Any] | None:
        """Return a block's part of the newest report in which it made calls."""
        for run_id, _ in self.uses:
            for block in self._report(run_id).get("blocks", ()):
                if block["name"] == label and block["llm_calls"]:
                    found: Mapping[str, Any] = block
                    return found
        return None

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

    def _report(self, run_id: str) -> Mapping[str, Any]:
        if run_id not in self._reports:
            try:
                self._reports[run_id] = read_report(self.root, run_id)
            except FileNotFoundError:
                self._reports[run_id] = {}  # the run was killed
        return self._reports[run_id]
