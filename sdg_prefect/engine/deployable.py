"""The Prefect flow that deployments run: any flow file, with the options of ``run`` as parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from sdg_prefect.engine.deployed import run_deployed
from sdg_prefect.engine.parameters import taking_options
from sdg_prefect.errors import FlowError
from sdg_prefect.spec.file_reader import default_name
from sdg_prefect.spec.positions import read_file


def _name() -> str:
    """Name a flow run by its flow, and by the day and time for which it was scheduled."""
    return f"{_name_of(Path(flow_run.get_parameters()['flow']))} {flow_run.get_scheduled_start_time():%Y-%m-%d %H:%M}"


def _name_of(path: Path) -> str:
    """Return the name of a flow; what is wrong with its file is told by the run."""
    try:
        data = read_file(path, "flow file").data
    except FlowError:
        data = None
    return str((isinstance(data, dict) and data.get("name")) or default_name(path))


@flow(name="run-flow-file", flow_run_name=_name, validate_parameters=True)
@taking_options
async def run_flow_file(**parameters: Any) -> Any:
    """Run a flow file over seeds and return the report.

    The flow run fails if the flow is wrong, the run could not finish, or rows were rejected that nobody allowed. It is suspended
    where a person has to act first: its budget is used up, or an endpoint refuses.
    """
    return await run_deployed(parameters, flow_run.get_scheduled_start_time())
