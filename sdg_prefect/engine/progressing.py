"""An artifact that shows how far a run is, made anew every few seconds for as long as it goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client

from sdg_prefect.engine.artifacts import Artifacts
from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.report.counting import Counting, Standing
from sdg_prefect.report.funnel import live_markdown

_EVERY = 2.0
"""Seconds between two looks at the least."""
_PAUSES, _LONGEST_PAUSE = 20, 15.0
"""So many times as long as an update took is the pause after it, up to so many seconds: it leaves a busy server alone."""
_LONGEST = 10.0
"""Seconds that an update may take."""


@dataclass
class _Artifact:
    """The artifact of one run."""

    artifacts: Artifacts
    counting: Counting
    notice: Callable[[], str]
    _id: UUID | None = None
    _shown: tuple[object, ...] = ()
    _before: Standing | None = None

    @property
    def is_there(self) -> bool:
        """True once it was made; a short run has none."""
        return self._id is not None

    async def update(self, client: PrefectClient, notice: str) -> None:
        """Show how far the run is, unless nothing has changed."""
        standing = self.counting.standing()
        now = (standing.calls, notice, *((block.rows, block.rows_in) for block in standing.blocks))
        if now == self._shown:
            return
        text = live_markdown(standing, self._rate(standing), notice)
        if self._id is None:
            self._id = (await self.artifacts.progress(text).acreate(client)).id
        else:
            # Prefect's own method would also send the text as an event.
            await client._client.patch(f"/artifacts/{self._id}", json={"data": text})
        self._shown, self._before = now, standing

    def _rate(self, now: Standing) -> float:
        """Return the calls that models answered a second since the last time."""
        before = self._before
        paid, seconds = (now.paid - before.paid, now.seconds - before.seconds) if before else (now.paid, now.seconds)
        return paid / seconds if seconds > 0 else 0.0


@asynccontextmanager
async def progress_shown(artifacts: Artifacts, counting: Counting, notice: Callable[[], str]) -> AsyncIterator[None]:
    """Show how far a run is for as long as it goes on, and at last how far it came. A run of a moment shows nothing.

    Args:
        artifacts: Those of the run.
        counting: Adds up what it does.
        notice: Says what else there is to know; empty where there is nothing.
    """
    artifact = _Artifact(artifacts, counting, notice)
    showing = asyncio.ensure_future(_show(artifact))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])
        if artifact.is_there:
            await _once(artifact, "This run has ended; its report tells more.")


async def _show(artifact: _Artifact) -> None:
    pause = _EVERY
    while True:
        await asyncio.sleep(pause)
        started = time.monotonic()
        await _once(artifact, artifact.notice())
        pause = min(_LONGEST_PAUSE, max(_EVERY, _PAUSES * (time.monotonic() - started)))


async def _once(artifact: _Artifact, notice: str) -> None:
    try:
        async with asyncio.timeout(_LONGEST), get_client() as client:
            await artifact.update(client, notice)
    except (*SERVER_LOST, TimeoutError) as error:
        logger.debug("the progress of the run could not be shown: %s", type(error).__name__)
