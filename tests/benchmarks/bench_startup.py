"""What the light commands cost beside an interpreter that has loaded pydantic: CPU, the best of several starts."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"
STARTS = 7
BUDGET = 0.5
"""Seconds of CPU that a light command may take beyond the baseline."""
BASELINE = ("-c", "import pydantic; from pydantic import BaseModel")
COMMANDS = {
    "--help": ("--help",),
    "check": ("check", "flow.yaml"),
    "check --input": ("check", "flow.yaml", "--input", "seeds.jsonl"),
    "plan": ("plan", "flow.yaml"),
}


def cpu_seconds(*words: str) -> float:
    """Return user and system time of a start of Python, the least of several."""
    taken = []
    for _ in range(STARTS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], cwd=QUICKSTART, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(taken)


def main() -> int:
    """Print a line for each command; return 1 if one is over the budget."""
    baseline = cpu_seconds(*BASELINE)
    print(f"{'python + pydantic':<20}{baseline:6.3f} s")
    over = 0
    for name, words in COMMANDS.items():
        seconds = cpu_seconds("-m", "sdg_prefect", *words)
        beyond = seconds - baseline
        over += beyond > BUDGET
        print(
            f"{name:<20}{seconds:6.3f} s  {seconds / baseline:4.1f} x  {beyond:+.3f} s  {'over' if beyond > BUDGET else 'within'} the budget"
        )
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main())
