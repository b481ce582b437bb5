"""What share of the ideal time a client could reach whose own work took no time at all.

Run with ``python tests/benchmarks/bench_ideal.py``. The ideal of ``bench_peers`` is the time of all calls divided by those that may be
open at once, and never less than that of the slowest row. Nobody knows which calls will be slow before they are back, so that at the
end some places stay empty. Here the calls of a run are drawn and played through in two orders: a row's next call goes before the first
calls of later rows, as the bare loop and a run do, so that rows are finished early; or the first calls of all rows go before second
ones, the best order that we know of without knowing the future. Prints the mean of some draws, for the case *tail*.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections.abc import Callable
from statistics import mean

Order = Callable[[int, int], tuple[int, int]]
"""Returns which call goes first, of a row and the place of a block."""

ORDERS: dict[str, Order] = {"rows first": lambda row, block: (row, block), "blocks first": lambda row, block: (block, row)}


def draw(rows: int, blocks: int, seed: int, *, latency: float = 0.1, slow: float = 2.0, share: float = 0.02) -> list[list[float]]:
    """Return how many seconds each call takes, by row and block."""
    dice = random.Random(seed)
    return [[slow if dice.random() < share else latency for _ in range(blocks)] for _ in range(rows)]


def share_of_ideal(latencies: list[list[float]], at_once: int, order: Order) -> float:
    """Play a run through and return the ideal time as a share of the time that it took."""
    waiting = [(order(row, 0), row, 0) for row in range(len(latencies))]
    heapq.heapify(waiting)
    is_open: list[tuple[float, int, int]] = []
    now = 0.0
    while waiting or is_open:
        while waiting and len(is_open) < at_once:
            _, row, block = heapq.heappop(waiting)
            heapq.heappush(is_open, (now + latencies[row][block], row, block))
        now, row, block = heapq.heappop(is_open)
        if block + 1 < len(latencies[row]):
            heapq.heappush(waiting, (order(row, block + 1), row, block + 1))
    by_row = [sum(row) for row in latencies]
    return max(sum(by_row) / at_once, *by_row) / now


def main() -> None:
    """Play through and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[40, 1_000, 4_000, 20_000])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[16, 64, 512])
    parser.add_argument("--draws", type=int, default=10)
    given = parser.parse_args()
    print(f"{'rows':>8}{'at once':>9}" + "".join(f"{name:>14}" for name in ORDERS))
    for at_once in given.concurrency:
        for rows in given.rows:
            drawn = [draw(rows, 3, seed) for seed in range(given.draws)]
            shares = (mean(share_of_ideal(one, at_once, order) for one in drawn) for order in ORDERS.values())
            print(f"{rows:>8,}{at_once:>9}" + "".join(f"{share:>13.1%} " for share in shares))


if __name__ == "__main__":
    main()
