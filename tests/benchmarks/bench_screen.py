"""What it costs to show a run on a terminal: for each call, and for each time that the table is drawn.

Run with ``python tests/benchmarks/bench_screen.py``. Prints microseconds of CPU that a call takes of the run's thread, beside those of
an observer that looks away, and the milliseconds of CPU of a frame, of which there are four a second, whatever happens.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

from rich.console import Console

from sdg_prefect.cli.frame import Rates, frame
from sdg_prefect.cli.progress import Screen
from sdg_prefect.report.progress import Observer, Silent

_CALL = {"llm_calls": 1, "tokens_in": 200, "tokens_out": 100, "cost_usd": 0.001}


def microseconds(observer: Observer, calls: int) -> float:
    """Return what telling of a call takes."""
    return _taken(lambda: observer.call_done("ask", _CALL), calls) * 1e6


def _taken(work: Callable[[], object], times: int) -> float:
    best = float("inf")
    for _ in range(5):
        started = time.thread_time()
        for _ in range(times):
            work()
        best = min(best, (time.thread_time() - started) / times)
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=10)
    blocks = ["ask", *(f"block_{place}" for place in range(parser.parse_args().blocks - 1))]
    screen = Screen(Console(file=io.StringIO(), width=120, force_terminal=True))
    screen.begin("bench", blocks, 1000)
    screen.close()
    for block in blocks:
        screen.shard_started(block, 100)
    console, rates = Console(file=io.StringIO(), width=120, height=40, force_terminal=True), Rates()

    def draw() -> None:
        rates.note(screen.standing())
        console.print(frame(screen.standing(), rates, [], 120, 40))

    print(
        f"a call: {microseconds(screen, 20_000):.2f} µs, of an observer that looks away {microseconds(Silent(), 20_000):.2f} µs"
    )
    print(f"a frame of {len(blocks)} blocks: {_taken(draw, 30) * 1e3:.1f} ms, four a second")


if __name__ == "__main__":
    main()
