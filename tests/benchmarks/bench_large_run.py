"""What a run of many rows that asks a model leaves, and what it holds in memory.

Run with ``python tests/benchmarks/bench_large_run.py --rows 100000``. A block asks the simulated model, which answers at once and in the
same process, one question for each row; duplicates are dropped. Prints the seconds of the run, the most memory that its process had,
the sizes of its page, of ``report.json``, ``figures.json`` and ``trail.json``, and what Prefect's server has of it when its process has
ended: its task runs, how many of them more than once, and how many are shown as completed. That is the server of ``PREFECT_API_URL``,
where it is set. With ``--shard-size`` few rows make many task runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sdg_prefect.engine import server
from tests.e2e.history import History

_FLOW = """
name: islands
models: {teacher: simulated/teacher}
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: DropDuplicates
  block_config: {block_name: once, columns: [question]}
"""
_PROMPT = """
generation: |
  Write one question about this text between the tags.
  {{ document }}
  <question>your question</question>
start_tags: ["<question>"]
end_tags: ["</question>"]
"""
_LEFT = ("report.html", "report.json", "figures.json", "trail.json")


def run(folder: Path, rows: int, shard_size: int | None) -> dict[str, object]:
    """Run the flow in a process of its own, and return its report."""
    (folder / "flow.yaml").write_text(_FLOW)
    (folder / "ask.yaml").write_text(_PROMPT)
    with open(folder / "seeds.jsonl", "w") as file:
        for place in range(rows):
            text = f"Island {place} has {place * 7 + 3} wells, {place % 13} villages and a harbour that is fed by river {place * 11}."
            file.write(json.dumps({"document": text}) + "\n")
    words = ["run", "flow.yaml", "--input", "seeds.jsonl", "--output", "rows.parquet", "--storage", "store", "--json"]
    words += ["--shard-size", str(shard_size)] if shard_size else []
    ran = subprocess.run([sys.executable, "-m", "sdg_prefect", *words], cwd=folder, stdout=subprocess.PIPE, check=True)
    report: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return report


def recorded(report: dict[str, object]) -> tuple[int, int, int]:
    """Return the task runs of a run, how many are there more than once, and how many are completed."""
    api_url = os.environ.get("PREFECT_API_URL") or server.begin_managed().api_url
    tasks = History(api_url.rstrip("/")).all_tasks(report)
    times = Counter(task["name"] for task in tasks)
    return len(tasks), len(tasks) - len(times), sum(task["state_name"] == "Completed" for task in tasks)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--shard-size", type=int)
    given = parser.parse_args()
    rows = given.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        report = run(folder, rows, given.shard_size)
        tasks, twice, completed = recorded(report)
        left = folder / "store" / "runs" / str(report["run_id"])
        sizes = [(left / file).stat().st_size / 1024 for file in _LEFT]
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    heads = ("rows", "calls", "seconds", "memory, MB", *(f"{file}, kB" for file in _LEFT), "task runs", "twice", "completed")
    print("".join(f"{head:>18}" for head in heads))
    figures = (
        f"{rows:,}",
        f"{report['llm_calls']:,}",
        f"{report['seconds']:.0f}",
        f"{memory:.0f}",
        *(f"{size:.0f}" for size in sizes),
        f"{tasks:,}",
        f"{twice:,}",
        f"{completed:,}",
    )
    print("".join(f"{figure:>18}" for figure in figures))


if __name__ == "__main__":
    main()
