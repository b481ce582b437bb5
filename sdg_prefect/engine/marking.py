"""Setting the states of flow runs and task runs on Prefect's server for those that cannot do so themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType

UNFINISHED = frozenset({StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING})
"""States in which Prefect shows what nobody works on any more."""
_PAGE = 200
_MOST_TASK_RUNS = 2_000


async def mark(
    client: PrefectClient,
    ids: Iterable[UUID | str],
    name: str,
    state: Callable[[], State[Any]],
    instead_of: Collection[StateType],
    but_not: Collection[str] = (),
) -> int:
    """Set the state of a run, its pipelines and their task runs, one after another, and return how many were set.

    Args:
        client: Open to the server that shows them.
        ids: Flow runs that are known of.
        name: Name of the run, by which it is found where no id is known.
        state: Makes the state.
        instead_of: The types of the states that it replaces.
        but_not: Flow runs to leave alone.
    """
    found = await _family(client, [UUID(str(one)) for one in ids], name)
    family = [flow_run for flow_run in found if str(flow_run.id) not in but_not]
    marked = 0
    for flow_run in family:
        if flow_run.state is not None and flow_run.state.type in instead_of:
            await client.set_flow_run_state(flow_run.id, state(), force=True)
            marked += 1
    return marked + await _mark_task_runs(client, [flow_run.id for flow_run in family], state, instead_of)


async def _family(client: PrefectClient, ids: Sequence[UUID], name: str) -> list[FlowRun]:
    """Return flow runs and all below them, parents first."""
    found: dict[UUID, FlowRun] = {}
    wanted = [FlowRunFilter(name=FlowRunFilterName(any_=[name]))]
    wanted += [FlowRunFilter(id=FlowRunFilterId(any_=list(ids)))] if ids else []
    while wanted:
        runs = [run for one in wanted for run in await _flow_runs(client, one)]
        fresh = {run.id: run for run in runs if run.id not in found}
        found |= fresh
        wanted = [FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=list(fresh)))] if fresh else []
    return list(found.values())


async def _flow_runs(client: PrefectClient, which: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(flow_run_filter=which, limit=_PAGE, offset=len(found))
        found += page
        if len(page) < _PAGE:
            return found


async def _mark_task_runs(
    client: PrefectClient, ids: Sequence[UUID], state: Callable[[], State[Any]], instead_of: Collection[StateType]
) -> int:
    if not ids:
        return 0
    flow_runs = FlowRunFilter(id=FlowRunFilterId(any_=list(ids)))
    which = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=list(instead_of))))
    marked = 0
    while marked < _MOST_TASK_RUNS:
        page = await client.read_task_runs(flow_run_filter=flow_runs, task_run_filter=which, limit=_PAGE)
        for task_run in page:
            # One at a time: the server has the tasks of a living run to record meanwhile.
            await client.set_task_run_state(task_run.id, state(), force=True)
        marked += len(page)
        if len(page) < _PAGE:
            break
    return marked
