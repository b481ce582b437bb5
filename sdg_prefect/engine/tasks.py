"""One Prefect task per block, one run of it per shard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from sdg_prefect.engine.live import Live, ShardContext
from sdg_prefect.engine.results import CheckpointPolicy, StoreResults
from sdg_prefect.engine.working import work
from sdg_prefect.errors import TransientError
from sdg_prefect.plan.plan import Step
from sdg_prefect.settings import settings
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.shards import DatasetRef


@dataclass(frozen=True, slots=True)
class Job:
    """What a task run does: a block on some shards, and where the checkpoint goes."""

    live: Live
    step: Step
    context: ShardContext
    refs: tuple[DatasetRef, ...]

    @property
    def tags(self) -> list[str]:
        """Block type and models, for the task run."""
        return [self.step.block.type_name, *self.step.models]


async def _run_shard(name: str, checkpoint: str, sources: list[Checkpoint], job: Job) -> Checkpoint:  # noqa: ARG001
    """Work on a shard in a thread of the run.

    ``sources`` are the results that the shard comes from: passed on as they are, so that Prefect draws the edges.
    """
    run = TaskRunContext.get()
    assert run is not None
    last = run.task_run.run_count > settings().task_retries
    call = partial(work, job.live, job.step, job.context, job.refs, checkpoint, is_last_attempt=last)
    job.live.at_rest.discard(checkpoint)
    try:
        return await asyncio.get_running_loop().run_in_executor(job.live.threads, call)
    except TransientError:
        if job.live.gateway.is_stopped:
            raise asyncio.CancelledError("the run is stopping") from None
        job.live.at_rest.add(checkpoint)
        raise


async def _is_passing(_task: Any, _task_run: TaskRun, state: State[Any]) -> bool:
    """Retry what failed for a passing reason."""
    result = await state.aresult(raise_on_failure=False)
    return isinstance(result, TransientError)


def make_task(step: Step, storage: StoreResults) -> Task[Any, Any]:
    """Make the task of a step."""
    return Task(
        fn=_run_shard,
        name=step.name,
        task_run_name="{name}",
        retries=settings().task_retries,
        retry_delay_seconds=exponential_backoff(backoff_factor=settings().task_backoff),
        retry_jitter_factor=0.5,
        retry_condition_fn=_is_passing,
        persist_result=True,
        result_storage=storage,
        result_serializer="json",
        cache_policy=CheckpointPolicy(),
        cache_result_in_memory=False,
        log_prints=False,
    )
