"""The endpoint that all tools ask, a process of its own; when its input ends it prints what it saw of the rows' calls."""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.simulator.tally import Entry

_ROW = re.compile(r"row-\d+")


@dataclass(frozen=True)
class Seen:
    """The calls about rows, as the server saw them; calls that only try out the endpoint are left out."""

    calls: int = 0
    refused: int = 0
    answered: int = 0
    """Prompts that got a reply, each counted once."""
    first: float = 0.0
    """When the first call came, on the clock of ``time.monotonic``."""
    last: float = 0.0
    """When the last one was over."""
    model_seconds: float = 0.0
    """What the latencies of the answered prompts add up to."""
    longest_row: float = 0.0
    """The same for the row with the most: its calls can only follow each other."""
    open_at_most: int = 0
    cpu_seconds: float = 0.0
    """CPU of the server itself."""


def drawn_latency(entry: Entry, settings: SimulatorSettings) -> float:
    """Return the latency that the server chose for a call, without what a busy machine added."""
    took = (entry.ended or entry.began) - entry.began
    return settings.tail_latency if settings.tail_share and took >= settings.tail_latency - 0.001 else settings.latency


def summary(journal: list[Entry], settings: SimulatorSettings, cpu: float) -> Seen:
    """Add up what the server saw."""
    latencies: dict[str, float] = {}
    by_row: Counter[str] = Counter()
    edges: list[tuple[float, int]] = []
    refused = 0
    for entry in journal:
        text = json.dumps(entry.body.get("messages"))
        row = _ROW.search(text)
        if row is None:
            continue
        edges += [(entry.began, 1), (entry.ended or entry.began, -1)]
        refused += entry.status == 429
        if entry.status == 200 and text not in latencies:
            latencies[text] = drawn_latency(entry, settings)
            by_row[row[0]] += latencies[text]  # type: ignore[assignment]
    if not edges:
        return Seen(cpu_seconds=cpu)
    edges.sort()
    now = most = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    total, longest = sum(latencies.values()), max(by_row.values(), default=0)
    return Seen(len(edges) // 2, refused, len(latencies), edges[0][0], edges[-1][0], total, longest, most, cpu)


def main() -> None:
    """Serve until the input ends."""
    fields: dict[str, Any] = json.loads(sys.argv[1])
    settings = SimulatorSettings.model_validate({**fields, "record": True})
    with SimulatedModel(settings) as model:
        before = time.process_time()
        print(model.url, flush=True)
        sys.stdin.read()
        cpu = time.process_time() - before
        journal = model.journal
    print(json.dumps(asdict(summary(journal, settings, cpu))), flush=True)


if __name__ == "__main__":
    main()
