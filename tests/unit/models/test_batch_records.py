"""What is known of batches, while it is being written."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from sdg_prefect.models.batches.records import Batch, Shelf
from tests.unit.models.batching import Records


def test_a_batch_whose_record_is_read_while_it_is_written_stays_the_one_that_is_followed() -> None:
    class Slow(Records):
        """Records that are there before whoever writes them knows."""

        def write(self, place: str, name: str, record: Mapping[str, Any]) -> None:
            super().write(place, name, record)
            assert may_end.wait(60)

    async def run() -> None:
        keeping = asyncio.ensure_future(shelf.keep(batch))
        while not records:
            await asyncio.sleep(0.005)
        await shelf.refresh()
        may_end.set()
        await keeping
        assert shelf.holding("k") is batch
        assert batch.left == {"k"}

    may_end, records = threading.Event(), Slow()
    shelf, batch = Shelf(records, "place"), Batch.new("/v1/chat/completions", ("k",), 1.0)
    asyncio.run(run())
