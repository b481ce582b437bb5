"""Prefect's results in our store: a task run is Cached when its checkpoint is there and usable."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from prefect._internal.result_records import ResultRecord
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import WritableFileSystem
from pydantic import PrivateAttr

from sdg_prefect.store.checkpoints import RECORD, Checkpoint, is_usable
from sdg_prefect.store.root import Root


class CheckpointPolicy(CachePolicy):
    """The cache key of a task run is the folder of its checkpoint, which the plan has computed."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        """Return the key, and tag the run.

        Tags given to the Task would cost a request for each run, to look for concurrency limits on them, and a dead server would
        then stop the run; tags set here are recorded all the same.
        """
        task_ctx.task_run.tags = [*task_ctx.task_run.tags, *getattr(inputs["job"], "tags", ())]
        return f"{inputs['checkpoint']}/{RECORD}"


class StoreResults(WritableFileSystem):
    """Reads and writes Prefect's result records in a store. A record whose data is gone is not found."""

    _block_type_name = "SDG Store Results"
    _block_type_slug: ClassVar[str | None] = "sdg-store-results"

    root: str
    """The store: a local folder or ``s3://bucket/prefix``."""

    _run_id: str = PrivateAttr(default="")

    def for_run(self, run_id: str) -> StoreResults:
        """Say which run is asking: what failed for a passing reason in another run is tried again."""
        self._run_id = run_id
        return self

    async def read_path(self, path: str) -> bytes:
        """Read a record.

        Raises:
            FileNotFoundError: It is not there, damaged, or its data is gone.
        """
        return await asyncio.to_thread(self._read, path)

    def _read(self, path: str) -> bytes:
        root = Root(self.root)
        content = root.read(path)
        record: ResultRecord[Any] = ResultRecord.deserialize(content)
        checkpoint = record.result
        if not isinstance(checkpoint, Checkpoint) or not is_usable(root, checkpoint, self._run_id):
            raise FileNotFoundError(path)
        return content

    async def write_path(self, path: str, content: bytes) -> None:
        """Write a record; the data that it speaks of is there already."""
        await asyncio.to_thread(Root(self.root).write, content, path)
