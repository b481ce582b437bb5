"""The Prefect flow that deployments run: any flow file, with the options of ``run`` as parameters."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow
from prefect.settings import PREFECT_UI_URL

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outcome import allowed
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.start import make_run, new_run_id, read_seeds_of
from sdg_prefect.errors import SdgError
from sdg_prefect.report.progress import Silent


@flow(name="run-flow-file", flow_run_name="{flow}", validate_parameters=True)
async def run_flow_file(
    flow: str,
    input: str,  # noqa: A002 - the word of the command line
    output: str,
    model: str | None = None,
    api_base: str | list[str] | None = None,
    api_key_env: str | None = None,
    models: str | None = None,
    storage: str | None = None,
    concurrency: int | None = None,
    shard_size: int | None = None,
    limit: int | None = None,
    overrides: list[str] | None = None,
    fresh: bool = False,
    retry_rejects: bool = False,
    allow_rejects: bool = False,
    budget: float | None = None,
    budget_tokens: int | None = None,
) -> dict[str, Any]:
    """Run a flow file over seeds and return the report.

    Args:
        flow: The flow file, from the folder that the deployment pulls.
        input: Seeds: a file, an Arrow folder or ``hf:NAME``, each also on ``s3://``.
        output: Where the rows go.
        model: Serve every model of the flow by this one, as litellm names it.
        api_base: Serve every model at this OpenAI-protocol address, or at several.
        api_key_env: Name of the environment variable with the endpoint's key.
        models: File of endpoints.
        storage: Where shards and completions are kept: a folder or ``s3://``.
        concurrency: Calls in flight at most, for each endpoint.
        shard_size: Rows per shard; chosen by itself if not given.
        limit: Only the first rows.
        overrides: Fields to set, as ``BLOCK.KEY=VALUE``.
        fresh: Reuse nothing of earlier runs.
        retry_rejects: Ask again for the rows that earlier runs rejected, and for no others.
        allow_rejects: Succeed even if rows were rejected.
        budget: US dollars that all runs of the flow on the store may cost.
        budget_tokens: Tokens that they may cost.

    Raises:
        SdgError: The flow is wrong, the run could not finish, or rows were rejected that nobody allowed.
    """
    options = RunOptions(
        flow=flow,
        input=input,
        output=output,
        models_file=models,
        model=model,
        api_base=api_base,
        api_key_env=api_key_env,
        storage=storage,
        concurrency=concurrency,
        shard_size=shard_size,
        limit=limit,
        overrides=tuple(overrides or ()),
        fresh=fresh,
        retry_rejects=retry_rejects,
        allow_rejects=allow_rejects,
        budget=budget,
        budget_tokens=budget_tokens,
    )
    run_id = new_run_id()
    prepared = await asyncio.to_thread(prepare, options, run_id if fresh else "")
    this = make_run(prepared.plan, options, await asyncio.to_thread(read_seeds_of, options, prepared.spec), run_id, Silent())
    this.ui_url = PREFECT_UI_URL.value() or ""
    report = await this.execute()
    if not allowed(report, prepared.plan, options):
        raise SdgError(
            f"{report.total.rejected} row(s) were rejected.", f"They are in the store, in runs/{run_id}/rejects.parquet."
        )
    return report.to_json()
