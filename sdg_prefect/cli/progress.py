"""A run as it goes: a table that is drawn anew on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sdg_prefect.cli.console import say
from sdg_prefect.counts import Counts
from sdg_prefect.report.counting import BlockProgress, Counting
from sdg_prefect.report.funnel import cost_of, span
from sdg_prefect.report.inert import plain
from sdg_prefect.report.problems import Problems
from sdg_prefect.report.progress import Observer
from sdg_prefect.report.rendering import block_table, closing_lines
from sdg_prefect.report.run_report import RunReport

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_LINE_EVERY = 10.0
"""Seconds between two plain lines of progress."""
_CANNOT_MOVE = ("dumb", "unknown")
"""Kinds of terminals on which nothing can be drawn anew."""
_GAP = 2
"""Columns of the terminal between two of the table at the end."""
_LEAST_COLUMNS = 3
_FRAMES = 4
"""How often a second the table is drawn, however much happens."""


class Watcher(Observer, Protocol):
    """An observer that also shows the end."""

    def end(self, report: RunReport) -> None:
        """Show the report."""
        ...


@contextmanager
def watch(*, is_plain: bool = False) -> Iterator[Watcher]:
    """Return what shows a run on this terminal, or in this log.

    Args:
        is_plain: True for lines on a terminal too.
    """
    if is_plain or not sys.stderr.isatty() or os.environ.get("TERM") in _CANNOT_MOVE:
        yield Lines()
        return
    from rich.console import Console

    # Where somebody forces colours into a log, that makes it no terminal: a table would be drawn there again and again.
    console = Console(stderr=True, highlight=False)
    screen = Screen(console)
    try:
        yield screen
    finally:
        screen.close()


class Lines(Counting):
    """Plain lines: the start, the state every now and then, each class of failure once, the end."""

    def __init__(self) -> None:
        super().__init__()
        self._next = time.monotonic() + _LINE_EVERY
        self._problems = Problems()

    def say(self, message: str) -> None:
        say(message)

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        super().begin(flow, blocks, rows)
        self._next = time.monotonic() + _LINE_EVERY
        say(_first_line(flow, blocks, rows))

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        super().call_done(block, counted)
        self._line()

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        super().shard_done(block, counts, replayed=replayed)
        self._line()

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        # What was said is for the report: it may repeat the row.
        if self._problems.note(block, kind, "", rows):
            say(f"{block}: first {'rows rejected' if rows else 'call that failed'}: {kind}")

    def _line(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _LINE_EVERY
        standing = self.standing()
        parts = [_block_line(block, standing.seconds) for block in standing.blocks if block.rows]
        cost = cost_of(standing)
        parts += [cost] if cost else []
        left = standing.seconds_left
        parts += [f"{left.text(span)} left"] if standing.calls_in_all is not None and left is not None else []
        say(f"{standing.seconds:.0f} s: {'; '.join(parts)}")

    def end(self, report: RunReport) -> None:
        for line in closing_lines(report):
            say(line)


def _fitting(table: Sequence[Sequence[str]], width: int) -> Sequence[Sequence[str]]:
    """Leave out columns, from the right, of which some would be cut; how many rows went in and came out is shown anyway."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    fits = [count for count in range(1, len(widths) + 1) if sum(widths[:count]) + _GAP * (count - 1) <= width]
    return [row[: max([_LEAST_COLUMNS, *fits])] for row in table]


def _first_line(flow: str, blocks: Sequence[str], rows: int) -> str:
    return f"{flow}: {rows:,} row{'s' if rows != 1 else ''} through {len(blocks)} block{'s' if len(blocks) != 1 else ''}"


def _block_line(block: BlockProgress, seconds: float) -> str:
    facts = [f"{block.rows_in:,} of {block.expected:,.0f} rows"]
    facts += [f"{block.counts.rejected:,} rejected"] if block.counts.rejected else []
    if block.calls:
        since = max(0.001, seconds - (block.started or 0.0))
        # What the ledger answers is no pace of the model.
        paid = f"{block.paid:,} paid, " if block.paid != block.calls else ""
        facts.append(f"{block.calls:,} calls, {paid}{block.paid / since:,.1f} a second")
    facts += [f"{block.flying:,} in flight"] if block.flying else []
    return f"{block.name} {', '.join(facts)}"


class Screen(Counting):
    """A table of the blocks, drawn a few times a second by a thread of its own; what happens only adds numbers."""

    def __init__(self, console: Console) -> None:
        from sdg_prefect.cli.frame import Rates

        super().__init__()
        self._console = console
        self._live: Live | None = None
        self._rates = Rates()
        self._problems = Problems()

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        from rich.live import Live

        super().begin(flow, blocks, rows)
        self.say(_first_line(flow, blocks, rows))
        # Gone at the end: then there is the report.
        self._live = Live(console=self._console, get_renderable=self._frame, refresh_per_second=_FRAMES, transient=True)
        self._live.start()

    def _frame(self) -> RenderableType:
        from sdg_prefect.cli.frame import TROUBLES, frame

        standing = self.standing()
        self._rates.note(standing)
        width, height = self._console.size
        return frame(standing, self._rates, self._problems.latest(TROUBLES), width, height)

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        self._problems.note(block, kind, what, rows)

    def say(self, message: str) -> None:
        self._console.print(plain(message), markup=False)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self, report: RunReport) -> None:
        from rich.table import Table

        self.close()
        head, *rows = _fitting(block_table(report), self._console.width)
        table = Table(box=None, pad_edge=False, header_style="bold")
        for place, name in enumerate(head):
            table.add_column(name, justify="left" if place == 0 else "right")
        for row in rows:
            table.add_row(*map(plain, row))
        self._console.print(table, markup=False)
        for line in closing_lines(report):
            self.say(line)
