"""One Prefect task per block, one run of it per shard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from prefect import Task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from sdg_prefect.engine.asking import Asking
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.results import CheckpointPolicy, StoreResults
from sdg_prefect.engine.working import Assignment
from sdg_prefect.errors import TransientError
from sdg_prefect.frozen import digest
from sdg_prefect.plan.plan import Step
from sdg_prefect.settings import settings
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.shards import DatasetRef


@dataclass(frozen=True, slots=True)
class Job:
    """What a task run does: a block on some shards, for one run."""

    live: Live
    assignment: Assignment
    asking: Asking

    @classmethod
    def of(cls, live: Live, step: Step, refs: tuple[DatasetRef, ...], folder: str) -> Job:
        """Make the job of a step on some shards, whose checkpoint goes into a folder."""
        assignment = Assignment(live.root, live.run_id, step, refs, folder, live.sizes, retry_rejects=live.retry_rejects)
        return cls(live, assignment, Asking(live, step, digest(tuple(ref.content for ref in refs))))

    @property
    def tags(self) -> list[str]:
        """Block type and models, for the task run."""
        step = self.assignment.step
        return [step.block.type_name, *step.models]


async def _run_shard(name: str, checkpoint: str, sources: list[Checkpoint], job: Job) -> Checkpoint:  # noqa: ARG001
    """Have a shard worked on, in a thread of the run or elsewhere.

    ``sources`` are the results that the shard comes from: passed on as they are, so that Prefect draws the edges.
    """
    run = TaskRunContext.get()
    assert run is not None
    last = run.task_run.run_count > settings().task_retries
    job.live.at_rest.discard(checkpoint)
    try:
        made = await job.live.runner.work(replace(job.assignment, is_last_attempt=last), job.asking)
    except TransientError:
        if job.live.gateway.is_stopped:
            raise asyncio.CancelledError("the run is stopping") from None
        job.live.at_rest.add(checkpoint)
        raise
    await job.asking.seal()
    return made


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
