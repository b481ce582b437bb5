"""What it costs to look at a run afterwards: the profile of its rows, and the way from its rows to their seeds.

Run with ``python tests/benchmarks/bench_report.py --rows 100000 1000000``. The rows are made without a model: each seed is split in
two, half of them are filtered, and duplicates are dropped. Prints the seconds of CPU for the profile of the output, for the way from
every row of the output to its seed, for that of one row within a shard, and for one seed onwards through all blocks, beside the bytes
that lineage takes in the store for each row.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_prefect.report.profile import profile_of
from sdg_prefect.rows import child_ids, with_ids
from sdg_prefect.store.lineage import fates, parent_of, seeds_of_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import write_shards
from sdg_prefect.store.trail import Made, Trail, trail_of, write_trail

_SHARD = 500
_MAKERS = {"split": "Split", "keep": "Filter", "once": "DropDuplicates"}


def made_run(root: Root, rows: int) -> tuple[Trail, list[pa.Table]]:
    """Store the shards of a run whose output has so many rows."""
    works: list[Made] = []
    kept: list[pa.Table] = []
    for start in range(0, rows, _SHARD):
        size = min(_SHARD, rows - start)
        texts = [f"question {start + place} about a river, a village and its wells" for place in range(size)]
        seeds = with_ids(
            pa.table({"text": texts, "topic": ["a", "b"] * (size // 2) + ["a"] * (size % 2)}),
            [f"{start + place:024x}" for place in range(size)],
        )
        doubled = seeds.take(pa.array([place for place in range(size) for _ in range(2)]))
        split = with_ids(doubled, child_ids(doubled.column(0).to_pylist(), "Split"))
        half = split.take(pa.array(range(1, 2 * size, 2)))
        refs = [
            write_shards(root, f"checkpoints/{name}/{start}", [table]).refs
            for name, table in (("inputs", seeds), ("split", split), ("keep", half))
        ]
        works += [Made("split", refs[0], refs[1]), Made("keep", refs[1], refs[2])]
        kept.append(half)
    parts = [part for start in range(0, len(kept), 100) for part in [pa.concat_tables(kept[start : start + 100])]]
    output = write_shards(root, "checkpoints/once/0", parts).refs
    works.append(Made("once", tuple(ref for work in works if work.step == "keep" for ref in work.made), output))
    return trail_of(works, output), parts


def seconds_of(work: Callable[[], Any]) -> float:
    """Return the seconds of CPU that something takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measured(rows: int, folder: str) -> list[float]:
    """Return what is printed of a run with so many rows in its output."""
    root = Root.at(folder)
    trail, tables = made_run(root, rows)
    write_trail(root, "run", trail)
    shard = [f"{place:024x}" for place in range(_SHARD)]
    last = child_ids([shard[-1]] * 2, "Split")[1]
    return [
        seconds_of(lambda: profile_of(tables)),
        seconds_of(lambda: seeds_of_output(root, trail, _MAKERS)),
        1000 * seconds_of(lambda: parent_of(last, shard, "Split", 2 * _SHARD)),
        seconds_of(lambda: fates(root, trail, _MAKERS, trail.seeds[0], shard[-1])),
        Path(root.path("runs", "run", "trail.json")).stat().st_size / rows,
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    asked = parser.parse_args()
    print(
        f"{'rows':>10}{'profile, s':>12}{'all to seeds, s':>17}{'one to its seed, ms':>21}{'one onwards, s':>16}{'bytes a row':>13}"
    )
    for rows in asked.rows:
        with tempfile.TemporaryDirectory() as folder:
            profile, everything, one, onwards, size = measured(rows, folder)
        print(f"{rows:>10,}{profile:>12.2f}{everything:>17.2f}{one:>21.2f}{onwards:>16.2f}{size:>13.1f}")


if __name__ == "__main__":
    main()
