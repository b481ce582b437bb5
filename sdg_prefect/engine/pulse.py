"""Looking at a run at even moments while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from sdg_prefect.models.gateway import Gateway
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.report.timeline import Moment, Timeline


@asynccontextmanager
async def watched_by(timeline: Timeline, look: Callable[[], Moment]) -> AsyncIterator[None]:
    """Note how far a run is as long as this is open, and once more at its end.

    Args:
        timeline: Gets the moments.
        look: Says how far the run is, at once.
    """

    async def watch() -> None:
        while True:
            timeline.add(look())
            await asyncio.sleep(timeline.every)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        timeline.add(look())


def moment(gateway: Gateway | None, tallies: Iterable[BlockTally]) -> Moment:
    """Say how far a run is.

    Args:
        gateway: Takes its calls; None where it has not begun.
        tallies: What its blocks have done.
    """
    rows = sum(tally.counts.rows_in for tally in tallies)
    if gateway is None:
        return Moment(0, 0, rows)
    return Moment(gateway.in_flight, sum(int(line["answers"]) for line in gateway.tally()), rows)
