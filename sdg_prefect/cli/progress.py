"""A run as it goes: a bar per block on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from sdg_prefect.cli.console import plain, say
from sdg_prefect.counts import Counts
from sdg_prefect.report.counting import Counting, Standing
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


def _cost(standing: Standing) -> str:
    """Say what all calls have cost, and will have at the end; nothing where they cost nothing."""
    text = f"${standing.usd:,.4f}" if standing.usd else ""
    if text and standing.usd_in_all is not None and standing.usd_in_all > standing.usd:
        text += f" of about ${standing.usd_in_all:,.4f}"
    return text


class Lines(Counting):
    """Plain lines: the start, the state every now and then, the end."""

    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + _LINE_EVERY

    def say(self, message: str) -> None:
        say(message)

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        super().begin(flow, blocks, rows)
        self._next = time.monotonic() + _LINE_EVERY
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
        standing = self.standing()
        parts = [f"{block.name} {block.rows_in:,} rows, {block.calls:,} calls" for block in standing.blocks if block.rows]
        cost = _cost(standing)
        parts += [cost] if cost else []
        if standing.calls_in_all and standing.seconds_left is not None:
            parts.append(f"about {standing.seconds_left:,.0f} s left")
        say(f"{standing.seconds:.0f} s: {'; '.join(parts)}")

    def end(self, report: RunReport) -> None:
        for line in closing_lines(report):
            say(line)


class Bars(Counting):
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
        standing = self.standing()
        state = next(one for one in standing.blocks if one.name == block)
        seconds = max(0.001, standing.seconds)
        facts = []
        if state.calls:
            facts += [f"{state.calls:,} calls", f"{state.tokens:,} tokens", f"{state.calls / seconds:.1f}/s"]
        if state.counts.rejected:
            facts.append(f"{state.counts.rejected:,} rejected")
        self._progress.update(self._tasks[block], completed=state.rows_in, total=state.rows, facts=" · ".join(facts))
        if self._whole is not None:
            calls, cost = standing.calls, _cost(standing)
            self._progress.update(self._whole, completed=calls, total=standing.calls_in_all, facts=cost, visible=bool(calls))

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
