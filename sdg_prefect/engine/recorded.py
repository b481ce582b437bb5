"""Before the process ends, Prefect's server has to have recorded the run's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
    TaskRunFilterSubFlowRuns,
)
from prefect.client.schemas.objects import StateType

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger

_LONGEST = 30.0
_PAUSE = 0.3
_ENDED = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED, StateType.CANCELLED]


async def wait_until_recorded(flow_run_ids: Sequence[str], task_runs: int) -> None:
    """Wait, within bounds, until the server shows all task runs as ended.

    States of task runs travel as events that the server records with a delay; a process that ends at once leaves a history with
    holes.

    Args:
        flow_run_ids: The run and its subflows.
        task_runs: How many task runs they had.
    """
    if not flow_run_ids or not task_runs:
        return
    flows = FlowRunFilter(id=FlowRunFilterId(any_=list(flow_run_ids)))
    # A subflow stands as a task run in its parent, which is not one of ours to count.
    ended = TaskRunFilter(
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=_ENDED)), subflow_runs=TaskRunFilterSubFlowRuns(exists_=False)
    )
    seen = -1
    try:
        async with asyncio.timeout(_LONGEST), get_client() as client:
            while seen < task_runs:
                reply = await client._client.post(
                    "/task_runs/count",
                    json={"flow_runs": flows.model_dump(mode="json"), "task_runs": ended.model_dump(mode="json")},
                )
                seen = int(reply.json())
                await asyncio.sleep(_PAUSE if seen < task_runs else 0)
    except TimeoutError:
        logger.warning("Prefect's server has recorded %s of %s task runs so far", max(seen, 0), task_runs)
    except SERVER_LOST as error:
        logger.debug("not waiting for Prefect's server: %s", type(error).__name__)
