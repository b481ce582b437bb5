"""The Prefect flow that deployments run: any flow file, with the options of ``run`` as parameters."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.settings import PREFECT_UI_URL

from sdg_prefect.engine.outcome import allowed
from sdg_prefect.engine.parameters import DeployedOptions, taking_options
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.start import begin_run, new_run_id
from sdg_prefect.errors import SdgError
from sdg_prefect.report.progress import Silent
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.spec.file_reader import default_name


def _name() -> str:
    """Name a flow run by its flow, and by the day and time for which it was scheduled."""
    return f"{default_name(Path(flow_run.get_parameters()['flow']))} {flow_run.get_scheduled_start_time():%Y-%m-%d %H:%M}"


@flow(name="run-flow-file", flow_run_name=_name, validate_parameters=True)
@taking_options
async def run_flow_file(**parameters: Any) -> dict[str, Any]:
    """Run a flow file over seeds and return the report.

    Raises:
        SdgError: The flow is wrong, the run could not finish, or rows were rejected that nobody allowed.
    """
    options = of_partition(DeployedOptions(**parameters), flow_run.get_scheduled_start_time())
    run_id = new_run_id()
    prepared = await asyncio.to_thread(prepare, options, run_id if options.fresh else "")
    this = await asyncio.to_thread(begin_run, prepared, run_id, Silent())
    if isinstance(this, RunReport):
        return this.to_json()
    this.ui_url = PREFECT_UI_URL.value() or ""
    report = await this.execute()
    if not allowed(report, prepared.plan, options):
        raise SdgError(
            f"{report.total.rejected} row(s) were rejected.", f"They are in the store, in runs/{run_id}/rejects.parquet."
        )
    return report.to_json()
