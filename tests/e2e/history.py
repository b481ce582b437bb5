"""What a Prefect server knows of runs, asked through its API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.e2e.servers import ask


@dataclass(frozen=True)
class History:
    """What a Prefect server knows."""

    api_url: str

    def find(self, kind: str, **body: Any) -> list[dict[str, Any]]:
        """Ask for all entries of a kind."""
        found: list[dict[str, Any]] = []
        while True:
            page = ask("POST", f"{self.api_url}/{kind}/filter", json={**body, "offset": len(found), "limit": 200}).json()
            found += page
            if len(page) < 200:
                return found

    def events(self, flow_run_ids: list[str]) -> list[dict[str, Any]]:
        """Return what happened in some flow runs."""
        asked = {"filter": {"any_resource": {"id": [f"prefect.flow-run.{one}" for one in flow_run_ids]}}, "limit": 50}
        found: list[dict[str, Any]] = ask("POST", f"{self.api_url}/events/filter", json=asked).json()["events"]
        return found

    def run(self, report: dict[str, Any]) -> dict[str, Any]:
        """Return the flow run of a report."""
        (found,) = self.find("flow_runs", flow_runs={"name": {"any_": [f"{report['flow']} {report['run_id']}"]}})
        return found

    def tasks(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the task runs of a flow run, without those that stand for its subflows."""
        inner = {one["parent_task_run_id"] for one in self.subflows(flow_run)}
        return [one for one in self._task_runs(flow_run) if one["id"] not in inner]

    def subflows(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the runs of the pipelines of a flow run, the earliest first."""
        found = self.find("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [flow_run["id"]]}})
        return sorted(found, key=lambda one: str(one["start_time"]))

    def family(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a flow run and all below it."""
        return [flow_run, *(one for child in self.subflows(flow_run) for one in self.family(child))]

    def all_tasks(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the task runs of a whole run."""
        return [task for flow_run in self.family(self.run(report)) for task in self.tasks(flow_run)]

    def tree(self, flow_run: dict[str, Any]) -> dict[str, Any]:
        """Return the names of the task runs and subflows, as they are nested."""
        inner = {one["name"]: self.tree(one) for one in self.subflows(flow_run)}
        return {**dict.fromkeys(sorted(task["name"] for task in self.tasks(flow_run))), **inner}

    def flow_name(self, flow_run: dict[str, Any]) -> str:
        """Return the name of the flow of a flow run."""
        (flow,) = self.find("flows", flows={"id": {"any_": [flow_run["flow_id"]]}})
        return str(flow["name"])

    def _task_runs(self, flow_run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.find("task_runs", task_runs={"flow_run_id": {"any_": [flow_run["id"]]}})


def states(runs: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the states that there are, by type and name."""
    return {(run["state_type"], run["state_name"]) for run in runs}
