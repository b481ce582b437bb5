"""What other tools make of the same endpoint on the same machine, beside ours and a bare aiohttp loop.

Run with ``python -m tests.benchmarks.bench_peers --peers FOLDER --make-peers``, which first installs each peer in an environment of its
own, ``FOLDER/<peer>``; without ``--peers`` only ours and the bare loop run. Every tool is a process of its own, one at a time, and asks
the same prompts about the same rows of a simulated endpoint that is another one. Three cases:

- ``instant``: one block, 64 calls at once, an endpoint that answers at once. Calls per second as a share of the bare loop's.
- ``tail``: a chain of three blocks, 100 ms a call and 2 s for one in fifty. Share of the ideal: the seconds of all calls divided by the
  calls that may be open, and never less than the row that took longest.
- ``limited``: one block, 64 calls at once, an endpoint that refuses all above 24. Share of what it can answer.

Rows that do not come out count as not done in every share. A share is of the time between the first and the last call, as the endpoint
saw them; ``start`` is the time before it, and ``wall`` that of the whole process. All tools have run once before they are measured.
Of several rounds, which take turns, the best counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.chart import Panel, draw
from tests.benchmarks.peers.endpoint import Seen
from tests.benchmarks.peers.tools import BARE, OURS, PEERS, Bench, Job, Took, make_peers, python_of

NOTE = "The river rises in the hills behind the village and reaches the sea after forty miles, past three mills and a lock. " * 3
REPLY = (
    "This is the reply of a simulated model: it says the same about each row, in a few words that a next prompt can hold. " * 3
)
CHAIN = [
    "About {id}. Summarise this note in two sentences.\n\n{note}",
    "About {id}. Write a question that this summary answers.\n\n{reply_1}",
    "About {id}. Answer the question from the note in one sentence.\n\nNote: {note}\n\nQuestion: {reply_2}",
]
OPEN = 64
"""Calls at once where nothing else is asked for."""


@dataclass(frozen=True)
class Case:
    """One setting of the endpoint and the work."""

    name: str
    rows: int
    blocks: int
    concurrency: int
    server: dict[str, Any]
    of: str
    """What shares are of."""

    @property
    def label(self) -> str:
        """The case in a few words."""
        return f"{self.name}: {self.rows:,} rows, {self.blocks} block{'s'[: self.blocks > 1]}, {self.concurrency} at once"


@dataclass
class Figures:
    """How a tool did in a case."""

    case: str
    of: str
    """What the share is of."""
    tool: str
    rows: int
    lost: int
    per_second: float
    """Calls that served rows which came out, each second between the first and the last call."""
    ideal_seconds: float
    share: float
    refused: float
    """Share of calls."""
    calls: int
    open_at_most: int
    cpu_ms: float
    """Of a call that was needed."""
    peak_mb: float
    start_seconds: float
    call_seconds: float
    wall_seconds: float
    endpoint_busy: float
    """CPU of the endpoint as a share of the time between the first and the last call."""
    code: int

    @property
    def line(self) -> str:
        """The figures as a line of the table."""
        share = f"{self.share:13.1%}" if self.share else f"{'-':>13}"
        end = "" if self.code == 0 else f"  exit {self.code}"
        return (
            f"{self.tool:<12}{self.lost:7,}{self.per_second:10,.0f}{share}{self.refused:9.1%}{self.open_at_most:6}{self.cpu_ms:9.2f}"
            f"{self.peak_mb:7.0f}{self.start_seconds:8.1f}{self.call_seconds:8.1f}{self.wall_seconds:8.1f}{end}"
        )


@contextmanager
def served(settings: dict[str, Any], seen: list[Seen]) -> Iterator[str]:
    """Serve the endpoint from a process of its own; what it saw is added at the end."""
    command = [sys.executable, "-m", "tests.benchmarks.peers.endpoint", json.dumps(settings)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        seen.append(Seen(**json.loads(process.communicate()[0])))


def figures_of(case: Case, tool: str, job: Job, took: Took, seen: Seen) -> Figures:
    """Put together what the process and the endpoint say; the share of the bare loop is filled in later."""
    kept, window = job.kept(), max(seen.last - seen.first, 1e-9)
    capacity = min(case.concurrency, case.server.get("max_concurrency", case.concurrency))
    ideal = max(seen.model_seconds / capacity, seen.longest_row)
    needed = case.rows * case.blocks
    return Figures(
        case=case.label,
        of=case.of,
        tool=tool,
        rows=case.rows,
        lost=case.rows - kept,
        per_second=kept * case.blocks / window,
        ideal_seconds=ideal,
        share=ideal / window * kept / case.rows,
        refused=seen.refused / max(seen.calls, 1),
        calls=seen.calls,
        open_at_most=seen.open_at_most,
        cpu_ms=1000 * took.cpu_seconds / needed,
        peak_mb=took.peak_mb,
        start_seconds=(seen.first or took.ended) - took.began,
        call_seconds=seen.last - seen.first,
        wall_seconds=took.ended - took.began,
        endpoint_busy=seen.cpu_seconds / window,
        code=took.code,
    )


def measured(bench: Bench, case: Case, tool: str) -> Figures:
    """Let a tool do a case."""
    with tempfile.TemporaryDirectory(prefix=f"{tool}-") as name:
        folder = Path(name)
        rows, replies = folder / "rows.jsonl", folder / "replies.jsonl"
        seeds = [{"id": f"row-{number:06}", "note": NOTE.strip()} for number in range(case.rows)]
        rows.write_text("".join(json.dumps(seed) + "\n" for seed in seeds), encoding="utf-8")
        replies.write_text(json.dumps({"match": "", "reply": REPLY.strip()}) + "\n", encoding="utf-8")
        seen: list[Seen] = []
        with served({**case.server, "replies": str(replies)}, seen) as url:
            job = Job(folder, rows, CHAIN[: case.blocks], url, case.concurrency)
            took = bench.run(tool, job)
        found = figures_of(case, tool, job, took, seen[0])
        if found.lost:
            said = (folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            print(
                f"{tool} lost {found.lost:,} of {case.rows:,} rows; its last line: {said[-1][:200] if said else ''}",
                file=sys.stderr,
            )
        return found


def cases_of(asked: argparse.Namespace) -> list[Case]:
    """Return what was asked for."""
    tail = {"latency": asked.latency, "tail_share": 0.02, "tail_latency": 20 * asked.latency}
    limited = {"latency": 2 * asked.latency, "max_concurrency": 24, "retry_after": asked.retry_after}
    cases = [Case("instant", asked.instant_rows, 1, OPEN, {}, "bare")]
    cases += [Case("tail", rows, 3, at_once, tail, "ideal") for at_once in asked.concurrency for rows in asked.rows]
    cases.append(Case("limited", asked.limited_rows, 1, OPEN, limited, "capacity"))
    return [case for case in cases if case.name in asked.cases]


def compared(bench: Bench, case: Case, tools: list[str], rounds: int) -> list[Figures]:
    """Let all tools do a case, and print the table."""
    best: dict[str, Figures] = {}
    for _ in range(rounds):
        for tool in tools:
            found = measured(bench, case, tool)
            if tool not in best or (found.share, found.per_second) > (best[tool].share, best[tool].per_second):
                best[tool] = found
    if case.of == BARE and BARE in best:
        for found in best.values():
            found.share = found.per_second / best[BARE].per_second
    print(f"\n{case.label}")
    print(f"{'':<12}   lost   calls/s {'of ' + case.of:>12}  refused  open   CPU ms     MB   start   calls    wall s")
    for found in best.values():
        print(found.line, flush=True)
    peers = {tool: found.per_second for tool, found in best.items() if tool in PEERS}
    if OURS in best and peers and max(peers.values()):
        fastest = max(peers, key=lambda tool: peers[tool])
        print(f"ours is {best[OURS].per_second / peers[fastest]:.2f} × the fastest peer, {fastest}")
    return list(best.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="where FOLDER/<peer>/bin/python is")
    parser.add_argument("--make-peers", action="store_true", help="install the peers that are not there")
    parser.add_argument("--tools", nargs="+", choices=[BARE, OURS, *PEERS], help="all that are installed, if not given")
    parser.add_argument("--cases", nargs="+", choices=["instant", "tail", "limited"], default=["instant", "tail", "limited"])
    parser.add_argument("--rows", type=int, nargs="+", default=[40, 1000], help="rows of tail, such as 40 1000 4000 20000")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[OPEN], help="calls at once of tail, such as 16 64 512")
    parser.add_argument("--instant-rows", type=int, default=2000)
    parser.add_argument("--limited-rows", type=int, default=4000)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds of a call of tail; limited takes twice that")
    parser.add_argument("--retry-after", type=float, default=1.0, help="what a refusal of limited says")
    parser.add_argument("--shard-size", type=int, metavar="ROWS", help="of ours; chosen by the tool, if not given")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=3600.0, help="seconds until a tool is killed")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    asked = parser.parse_args()
    if asked.peers and asked.make_peers:
        make_peers(asked.peers, [name for name in PEERS if name in (asked.tools or PEERS)])
    there = [BARE, OURS, *(name for name in PEERS if asked.peers and python_of(asked.peers, name).exists())]
    tools = [tool for tool in there if tool in (asked.tools or there)]
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as name:
        bench = Bench(Path(name), asked.peers, asked.timeout, asked.shard_size)
        try:
            first = Case("first", 4, 1, OPEN, {}, BARE)
            walls = [f"{tool} {measured(bench, first, tool).wall_seconds:.1f}" for tool in tools]
            print(f"first runs, of {first.rows} rows, wall s: {', '.join(walls)}", flush=True)
            for case in cases_of(asked):
                found += compared(bench, case, tools, asked.rounds)
        finally:
            bench.close()
    if asked.json:
        asked.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")
    if asked.plot:
        titles = {one.case: f"{one.case}, share of {one.of}" for one in found}
        panels = [Panel(title, [(one.tool, one.share) for one in found if one.case == case]) for case, title in titles.items()]
        asked.plot.write_text(draw(panels, OURS), encoding="utf-8")


if __name__ == "__main__":
    main()
