"""The Prefect flow that deployments run: any flow file, with the options of ``run`` as parameters."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow
from prefect.settings import PREFECT_UI_URL

from sdg_prefect.engine.outcome import allowed
from sdg_prefect.engine.parameters import DeployedOptions, taking_options
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.start import make_run, new_run_id, read_seeds_of
from sdg_prefect.errors import SdgError
from sdg_prefect.report.progress import Silent


@flow(name="run-flow-file", flow_run_name="{flow}", validate_parameters=True)
@taking_options
async def run_flow_file(**parameters: Any) -> dict[str, Any]:
    """Run a flow file over seeds and return the report.

    Raises:
        SdgError: The flow is wrong, the run could not finish, or rows were rejected that nobody allowed.
    """
    options = DeployedOptions(**parameters)
    run_id = new_run_id()
    prepared = await asyncio.to_thread(prepare, options, run_id if options.fresh else "")
    this = make_run(prepared.plan, options, await asyncio.to_thread(read_seeds_of, options, prepared.spec), run_id, Silent())
    this.ui_url = PREFECT_UI_URL.value() or ""
    report = await this.execute()
    if not allowed(report, prepared.plan, options):
        raise SdgError(
            f"{report.total.rejected} row(s) were rejected.", f"They are in the store, in runs/{run_id}/rejects.parquet."
        )
    return report.to_json()
