"""A run as it goes: a bar per block on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sdg_prefect.cli.console import plain, say
from sdg_prefect.counts import Counts
from sdg_prefect.report.forecast import Passage, forecast
from sdg_prefect.report.progress import Observer
from sdg_prefect.report.rendering import block_table, closing_lines
from sdg_prefect.report.run_report import RunReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_EVERY = 10.0
"""Seconds between two plain lines of progress."""
_CALLS_SHOWN_EVERY = 0.1
"""Seconds between two looks at the calls of shards at work, for bars."""


class Watcher(Observer, Protocol):
    """An observer that also shows the end."""

    def end(self, report: RunReport) -> None:
        """Show the report."""
        ...


@contextmanager
def watch() -> Iterator[Watcher]:
    """Return what shows a run on this terminal, or in this log."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    bars = Bars()
    try:
        yield bars
    finally:
        bars.close()


@dataclass
class _Block(Passage):
    """What is known of a block so far."""

    rows: int = 0
    """Those of shards that it has taken up."""
    tokens: int = 0
    rejected: int = 0


class _Counting:
    """Adds up what happens, by block."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Block] = {}
        self._guard = threading.Lock()
        self._started = time.monotonic()
        self._rows = 0

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        self._blocks = {name: _Block() for name in blocks}
        self._started = time.monotonic()
        self._rows = rows

    def shard_started(self, block: str, rows: int) -> None:
        with self._guard:
            self._blocks[block].rows += rows

    def call_done(self, block: str, counts: Counts) -> None:
        with self._guard:
            known = self._blocks[block]
            known.calls += 1
            known.tokens += counts.tokens_in + counts.tokens_out
            known.usd += counts.cost_usd

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        with self._guard:
            known = self._blocks[block]
            known.add(counts, replayed=replayed)
            known.rejected += counts.rejected

    def _in_all(self) -> tuple[int, int | None, str]:
        """Return the calls of all blocks so far and at the end, if that can be told, and what they cost, as a text."""
        with self._guard:
            known = list(self._blocks.values())
            expected = forecast(self._rows, known)
        calls, usd = sum(block.calls for block in known), sum(block.usd for block in known)
        cost = f"${usd:,.4f}" if usd else ""
        if cost and expected is not None and expected.usd > usd:
            cost += f" of about ${expected.usd:,.4f}"
        return calls, None if expected is None else round(expected.calls), cost


class Lines(_Counting):
    """Plain lines: the start, the state every now and then, the end."""

    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + _LINE_EVERY

    def say(self, message: str) -> None:
        say(message)

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        super().begin(flow, blocks, rows)
        self._next = self._started + _LINE_EVERY
        say(f"{flow}: {rows:,} rows through {len(blocks)} blocks")

    def call_done(self, block: str, counts: Counts) -> None:
        super().call_done(block, counts)
        self._line()

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        super().shard_done(block, counts, replayed=replayed)
        self._line()

    def _line(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_EVERY
        parts = [f"{name} {state.rows_in:,} rows, {state.calls:,} calls" for name, state in self._blocks.items() if state.rows]
        calls, expected, cost = self._in_all()
        seconds = now - self._started
        parts += [cost] if cost else []
        if expected is not None and 0 < calls < expected:
            parts.append(f"about {seconds * (expected - calls) / calls:,.0f} s left")
        say(f"{seconds:.0f} s: {'; '.join(parts)}")

    def end(self, report: RunReport) -> None:
        for line in closing_lines(report):
            say(line)


class Bars(_Counting):
    """A bar per block, with rows, calls, tokens, rate and the time left."""

    def __init__(self) -> None:
        from rich.console import Console

        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._whole: TaskID | None = None
        self._next = 0.0

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().begin(flow, blocks, rows)
        self._console.print(f"{flow}: {rows:,} rows through {len(blocks)} blocks", markup=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}", markup=False, style="dim"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            refresh_per_second=5,
        )
        self._tasks = {name: self._progress.add_task(name, total=None, facts="") for name in blocks}
        self._whole = self._progress.add_task("all calls", total=None, facts="", visible=False)
        self._progress.start()

    def shard_started(self, block: str, rows: int) -> None:
        super().shard_started(block, rows)
        self._show(block)

    def call_done(self, block: str, counts: Counts) -> None:
        super().call_done(block, counts)
        if (now := time.monotonic()) >= self._next:
            self._next = now + _CALLS_SHOWN_EVERY
            self._show(block)

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        super().shard_done(block, counts, replayed=replayed)
        self._show(block)

    def _show(self, block: str) -> None:
        if self._progress is None:
            return
        state = self._blocks[block]
        seconds = max(0.001, time.monotonic() - self._started)
        facts = []
        if state.calls:
            facts += [f"{state.calls:,} calls", f"{state.tokens:,} tokens", f"{state.calls / seconds:.1f}/s"]
        if state.rejected:
            facts.append(f"{state.rejected:,} rejected")
        self._progress.update(self._tasks[block], completed=state.rows_in, total=state.rows, facts=" · ".join(facts))
        calls, expected, cost = self._in_all()
        if self._whole is not None:
            self._progress.update(self._whole, completed=calls, total=expected, facts=cost, visible=bool(calls))

    def say(self, message: str) -> None:
        self._console.print(plain(message), markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def end(self, report: RunReport) -> None:
        from rich.table import Table

        self.close()
        head, *rows = block_table(report)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, name in enumerate(head):
            table.add_column(name, justify="left" if place == 0 else "right")
        for row in rows:
            table.add_row(*row)
        self._console.print(table, markup=False)
        for line in closing_lines(report):
            self.say(line)
