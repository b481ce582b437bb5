"""What rows cost that pass five transforms, in a run of ours and in plain calls of ``datasets``, from few rows to many.

Run with ``python tests/benchmarks/bench_transforms.py --rows 10000 100000 1000000``. Each of both reads the same Parquet file in a
process of its own, filters by a value, copies a column, renames one, joins two into a text, drops rows of equal text, and writes
a Parquet file. Prints seconds and peak memory, what libraries take that are imported before left out of the seconds, and the ratio
of ours to plain ``datasets``. Memory is told twice: all that was resident, pages of mapped files included, which the kernel takes
back when it needs them; and what is the process's own (anonymous), with how much that grew since the least rows, for each row more.
Ours also gives rows ids, counts them, and keeps a checkpoint of each block; plain ``datasets`` keeps
the files of its cache. Both write the same rows, which is checked.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLOW = """\
- {block_type: FilterByValueBlock, block_config: {block_name: good, filter_column: score, filter_value: 2, operation: operator.ge}}
- {block_type: DuplicateColumns, block_config: {block_name: copy, columns_map: {text: original}}}
- {block_type: RenameColumns, block_config: {block_name: rename, columns_map: {text: document}}}
- block_type: CombineColumnsBlock
  block_config: {block_name: join, columns: [topic, document], output_col: prompt, separator: "\\n"}
- {block_type: DropDuplicates, block_config: {block_name: once, columns: [prompt]}}
"""
WATCH = """
import threading, time
own = [0.0]
def watch():
    while True:
        with open("/proc/self/status") as status:
            own[0] = max(own[0], *(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon")))
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
"""
OURS = """
import resource, sys, time
import datasets, prefect, pandas
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.start import run
from sdg_prefect.engine.server import begin, wait_until_ready
folder, seeds, output = sys.argv[1:4]
wait_until_ready(begin())
started = time.perf_counter()
outcome = run(RunOptions(flow=f"{folder}/flow.yaml", input=seeds, output=output, storage=f"{folder}/store"))
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, own[0], outcome.report.seconds)
"""
PLAIN = """
import resource, sys, time
import datasets, pandas
folder, seeds, output = sys.argv[1:4]
datasets.disable_progress_bars()
started = time.perf_counter()
rows = datasets.load_dataset("parquet", data_files=seeds, split="train", cache_dir=f"{folder}/cache")
rows = rows.filter(lambda scores: [score >= 2 for score in scores], input_columns="score", batched=True)
rows = rows.map(lambda batch: {"original": batch["text"]}, batched=True)
rows = rows.rename_column("text", "document")
rows = rows.map(lambda batch: {"prompt": [f"{a}\\n{b}" for a, b in zip(batch["topic"], batch["document"])]}, batched=True)
seen = set()
rows = rows.filter(lambda prompts: [not (p in seen or seen.add(p)) for p in prompts], input_columns="prompt", batched=True)
rows.to_parquet(output)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, own[0], 0)
"""


def write_seeds(path: Path, rows: int) -> None:
    """Write rows of about 300 bytes, one in ten of them a second time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(1)
    words = ["river", "village", "island", "well", "bridge", "harbour", "mountain", "orchard", "mill", "lantern"]
    texts = [f"{number}: " + " ".join(chance.choices(words, k=40)) for number in range(rows - rows // 10)]
    texts += texts[: rows // 10]
    topics = [words[number % 7] for number in range(len(texts) - rows // 10)]
    topics += topics[: rows // 10]
    scores = [number % 5 for number in range(len(texts) - rows // 10)]
    scores += scores[: rows // 10]
    pq.write_table(pa.table({"text": texts, "topic": topics, "score": scores}), path)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a program took."""

    seconds: float
    peak: float
    """MiB that were resident."""
    own: float
    """MiB of them that were anonymous."""
    reported: float
    """Seconds that the program itself says it took."""


def measured(program: str, folder: Path, seeds: Path, output: Path) -> Measured:
    """Run a program and return what it took."""
    folder.mkdir()
    (folder / "flow.yaml").write_text(FLOW)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "HF_DATASETS_OFFLINE": "1"}
    words = [sys.executable, "-c", WATCH + program, str(folder), str(seeds), str(output)]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return Measured(*map(float, done.stdout.split()[-4:]))


def same_rows(one: Path, other: Path) -> bool:
    """Compare two outputs, whatever the order of their columns."""
    import pyarrow.parquet as pq

    first, second = pq.read_table(one), pq.read_table(other)
    names = sorted(first.column_names)
    return names == sorted(second.column_names) and bool(first.select(names).equals(second.select(names)))


def compare(rows: int, folder: Path) -> dict[str, Any]:
    """Measure both on so many rows."""
    seeds = folder / f"seeds-{rows}.parquet"
    write_seeds(seeds, rows)
    outputs = {name: folder / f"{name}-{rows}.parquet" for name in ("ours", "plain")}
    ours = measured(OURS, folder / f"of-ours-{rows}", seeds, outputs["ours"])
    plain = measured(PLAIN, folder / f"of-plain-{rows}", seeds, outputs["plain"])
    return {
        "rows": rows,
        "seconds": {"ours": ours.seconds, "ours, in its report": ours.reported, "datasets": plain.seconds},
        "peak_mib": {"ours": ours.peak, "datasets": plain.peak},
        "own_mib": {"ours": ours.own, "datasets": plain.own},
        "ratio": ours.seconds / plain.seconds,
        "ratio_of_memory": ours.peak / plain.peak,
        "same_rows": same_rows(*outputs.values()),
    }


def growth(figures: list[dict[str, Any]], name: str) -> list[float]:
    """Return the bytes of own memory for each row more than the least."""
    least = figures[0]
    more = [(one["rows"] - least["rows"], one["own_mib"][name] - least["own_mib"][name]) for one in figures]
    return [mib * 2**20 / rows if rows else 0.0 for rows, mib in more]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        figures = [compare(rows, Path(name)) for rows in sorted(asked.rows)]
    for one, *grown in zip(figures, growth(figures, "ours"), growth(figures, "datasets"), strict=True):
        one["own_bytes_per_row_more"] = dict(zip(("ours", "datasets"), grown, strict=True))
    if asked.json:
        print(json.dumps(figures))
        return
    print(f"{'':>10}{'seconds':>24}{'':>8}{'peak MiB':>18}{'':>8}{'own MiB':>18}{'own bytes a row':>18}")
    print(
        f"{'rows':>10}{'ours':>12}{'datasets':>12}{'ratio':>8}{'ours':>8}{'datasets':>10}{'ratio':>8}"
        + f"{'ours':>8}{'datasets':>10}" * 2
    )
    for one in figures:
        seconds, peak, own, grown = (one[name] for name in ("seconds", "peak_mib", "own_mib", "own_bytes_per_row_more"))
        print(
            f"{one['rows']:>10,}{seconds['ours']:>12.2f}{seconds['datasets']:>12.2f}{one['ratio']:>8.2f}"
            f"{peak['ours']:>8,.0f}{peak['datasets']:>10,.0f}{one['ratio_of_memory']:>8.2f}"
            f"{own['ours']:>8,.0f}{own['datasets']:>10,.0f}{grown['ours']:>8,.0f}{grown['datasets']:>10,.0f}"
            f"{'' if one['same_rows'] else '  other rows came out'}"
        )


if __name__ == "__main__":
    main()
