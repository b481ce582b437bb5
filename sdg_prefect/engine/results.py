"""Prefect's results in our store: a task run is Cached when its checkpoint is there and usable."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar
from uuid import UUID

from prefect._internal.result_records import ResultRecord, ResultRecordMetadata
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.filesystems import WritableFileSystem
from prefect.serializers import JSONSerializer
from pydantic import PrivateAttr

from sdg_prefect.errors import StoreError
from sdg_prefect.store.checkpoints import RECORD, Checkpoint, recall, sealed
from sdg_prefect.store.root import Root

_NOWHERE = UUID(int=0)


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
    """Reads and writes Prefect's result records in a store. A record that is damaged, or whose data is, is not found."""

    _block_type_name = "SDG Store Results"
    _block_type_slug: ClassVar[str | None] = "sdg-store-results"

    root: str
    """The store: a local folder or ``s3://bucket/prefix``."""

    _run_id: str = PrivateAttr(default="")
    _retry_rejects: bool = PrivateAttr(default=False)
    _checked: dict[str, bytes] = PrivateAttr(default_factory=dict)
    """Records that were found whole: Prefect asks twice for each, and their data is verified once."""
    _failure: StoreError | None = PrivateAttr(default=None)

    @property
    def failure(self) -> StoreError | None:
        """Why a record could not be written, which Prefect only logs."""
        return self._failure

    def for_run(self, run_id: str, *, retry_rejects: bool = False) -> StoreResults:
        """Say which run is asking: what failed for a passing reason in another run is tried again, or all that failed."""
        self._run_id, self._retry_rejects = run_id, retry_rejects
        # Prefect takes only storages that its server knows. Nobody looks this one up: we read the records, by their folder.
        self._block_document_id = _NOWHERE
        return self

    async def holds(self, folder: str, *, is_suspect: bool = False) -> bool:
        """Look whether a checkpoint is there and whole now, whatever was found before.

        Args:
            folder: The folder of the checkpoint.
            is_suspect: True if something was wrong with its data.
        """
        path = f"{folder}/{RECORD}"
        self._checked.pop(path, None)
        try:
            self._checked[path] = await asyncio.to_thread(self._find, path, is_suspect=is_suspect)
        except Exception:  # noqa: BLE001 - as to Prefect, what cannot be read is not there
            return False
        return True

    async def read_path(self, path: str) -> bytes:
        """Read a record.

        Raises:
            FileNotFoundError: It is not there, damaged, or its data is.
        """
        if path not in self._checked:
            self._checked[path] = await asyncio.to_thread(self._find, path)
        return self._checked[path]

    def _find(self, path: str, *, is_suspect: bool = False) -> bytes:
        """Find a checkpoint that is whole, and write its record anew.

        Prefect never gets what the file holds: a record may name any serializer, and that of pickles runs what it reads.
        """
        folder, _, name = path.rpartition("/")
        checkpoint = None
        if name == RECORD:
            retries = self._retry_rejects
            checkpoint = recall(Root(self.root), folder, self._run_id, is_suspect=is_suspect, retry_rejects=retries)
        if checkpoint is None:
            raise FileNotFoundError(path)
        metadata = ResultRecordMetadata(serializer=JSONSerializer(), storage_key=path, storage_block_id=self._block_document_id)
        return ResultRecord[Checkpoint](result=checkpoint, metadata=metadata).serialize()

    async def write_path(self, path: str, content: bytes) -> None:
        """Write a record; the data that it speaks of is there already."""
        self._checked.pop(path, None)
        try:
            await asyncio.to_thread(Root(self.root).write, sealed(content), path)
        except StoreError as error:
            self._failure = self._failure or error
            raise
