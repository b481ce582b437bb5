"""How far a run is, drawn for a terminal: the blocks, how fast they go, what they cost, and what went wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.report.counting import BlockProgress, Standing
from sdg_prefect.report.funnel import cost_of, span
from sdg_prefect.report.inert import plain
from sdg_prefect.report.problems import Trouble

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

TROUBLES = 4
"""Kinds of failure that are shown, the latest."""
_LATELY = 10.0
"""Seconds over which rates are taken."""
_FEWEST_BLOCKS = 3
_SHORTEST_NAME, _LONGEST_NAME = 12, 40
_GAP = 2


@dataclass
class Rates:
    """How fast each block goes, lately."""

    _seen: deque[tuple[float, dict[str, tuple[int, int]]]] = field(default_factory=deque)

    def note(self, standing: Standing) -> None:
        """Note how far a run is."""
        self._seen.append((standing.seconds, {block.name: (block.paid, block.rows_in) for block in standing.blocks}))
        while len(self._seen) > 2 and self._seen[1][0] < standing.seconds - _LATELY:
            self._seen.popleft()

    def of(self, block: BlockProgress) -> str:
        """Say how many calls of a block are answered in a second; rows, where no model is asked."""
        if len(self._seen) < 2:
            return ""
        (start, before), (end, now) = self._seen[0], self._seen[-1]
        place, unit = (0, "/s") if block.paid else (1, " rows/s")
        change = now[block.name][place] - before.get(block.name, (0, 0))[place]
        if not change or end <= start:
            return ""
        rate = change / (end - start)
        return f"{rate:,.0f}{unit}" if rate >= 100 else f"{rate:,.1f}{unit}"


def frame(standing: Standing, rates: Rates, troubles: Sequence[Trouble], width: int, height: int) -> RenderableType:
    """Draw how far a run is.

    Args:
        standing: How far that is.
        rates: How fast it goes.
        troubles: What went wrong, the latest first.
        width: Columns of the terminal.
        height: Its lines.
    """
    from rich.console import Group

    told = [_trouble(trouble, width) for trouble in troubles[: min(TROUBLES, max(1, height // 6))]]
    room = max(_FEWEST_BLOCKS, height - len(told) - 6)
    below: list[Text | str] = ["", *told] if told else []
    return Group(_head(standing, width), "", _blocks(standing, rates, width, room), *below)


def _head(standing: Standing, width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    left = standing.seconds_left
    facts = [f"{standing.share:.0%}", span(standing.seconds), *([f"{left.text(span)} left"] if left is not None else [])]
    facts += [f"{standing.flying:,} in flight"] if standing.flying else []
    facts += [cost_of(standing)] if standing.usd else []
    # The last ones are told below too, where there is room.
    while len(facts) > 1 and len(" · ".join(facts)) + _SHORTEST_NAME > width:
        facts.pop()
    said = " · ".join(facts)
    line = Table.grid(padding=(0, _GAP, 0, 0))
    line.add_row(_bar(standing.share, min(_LONGEST_NAME, width - len(said) - _GAP - 1)), Text(said, style="bold", no_wrap=True))
    return line


def _bar(share: float, width: int) -> ProgressBar:
    from rich.progress_bar import ProgressBar

    return ProgressBar(1.0, min(1.0, share), max(4, width), style="grey30", complete_style="cyan", finished_style="green")


def _blocks(standing: Standing, rates: Rates, width: int, room: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    shown = _chosen(standing.blocks, room)
    bar = 16 if width >= 100 else 8
    columns = [one for one in _figures(standing, rates) if any(map(one.cell, shown))]
    longest = max((len(plain(block.name)) for block in shown), default=0)

    # What matters least goes first, where a terminal is narrow.
    def room_for_names() -> int:
        return width - sum(one.width + _GAP for one in columns) - bar - 2 * _GAP

    while room_for_names() < min(longest, _SHORTEST_NAME) and len(columns) > 1:
        columns.remove(max(columns, key=lambda one: one.rank))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bright_black", show_edge=False)
    table.add_column("block", overflow="ellipsis", no_wrap=True, max_width=max(4, min(room_for_names(), _LONGEST_NAME)))
    table.add_column("", no_wrap=True, width=bar)
    for column in columns:
        table.add_column(column.head, justify="right", no_wrap=True, style=column.style)
    for block in shown:
        share = block.rows_in / block.expected if block.expected else 0.0
        is_at_work = block.started is not None and (share < 1.0 or bool(block.flying))
        name = Text(plain(block.name), style="bold" if is_at_work else "" if share >= 1.0 else "bright_black")
        table.add_row(name, _bar(share, bar), *(one.cell(block) for one in columns))
    if hidden := len(standing.blocks) - len(shown):
        table.add_row(Text(f"{hidden:,} more", style="bright_black"))
    return table


@dataclass(frozen=True, slots=True)
class _Figure:
    """A column of figures."""

    head: str
    cells: dict[str, str]
    rank: int
    """Those of the highest rank are left out first."""
    style: str = ""

    def cell(self, block: BlockProgress) -> str:
        return self.cells.get(block.name, "")

    @property
    def width(self) -> int:
        return max(len(self.head), *map(len, self.cells.values()))


def _figures(standing: Standing, rates: Rates) -> Iterator[_Figure]:
    blocks = standing.blocks
    gone = {one.name: one.counts.filtered + one.counts.deduplicated for one in blocks}
    yield _Figure("rows", {one.name: f"{one.rows_in:,}/{one.expected:,.0f}" for one in blocks}, 0)
    yield _Figure("left out", {name: _number(count) for name, count in gone.items()}, 6)
    yield _Figure("rejected", {one.name: _number(one.counts.rejected) for one in blocks}, 1, "yellow")
    yield _Figure("calls", {one.name: _number(one.calls) for one in blocks}, 7)
    yield _Figure("rate", {one.name: rates.of(one) for one in blocks}, 3)
    yield _Figure("in flight", {one.name: _number(one.flying) for one in blocks}, 4, "cyan")
    yield _Figure("cost", {one.name: f"${one.usd:,.4f}" if one.usd else "" for one in blocks}, 2)
    yield _Figure("left", {one.name: _left(one, standing.seconds) for one in blocks}, 5)


def _chosen(blocks: Sequence[BlockProgress], room: int) -> Sequence[BlockProgress]:
    """Choose the blocks for which there is room: those that are not done first, in the order of the flow."""
    if len(blocks) <= room:
        return blocks
    places = sorted(range(len(blocks)), key=lambda place: (blocks[place].rows_in >= blocks[place].expected > 0, place))
    return [blocks[place] for place in sorted(places[: room - 1])]


def _trouble(trouble: Trouble, width: int) -> Text:
    from rich.text import Text

    facts = [f"{trouble.rows:,} row{'s' * (trouble.rows != 1)} rejected"] if trouble.rows else []
    facts += [f"{trouble.calls:,} call{'s' * (trouble.calls != 1)} failed"] if trouble.calls else []
    line = Text.assemble(("! ", "yellow"), (plain(trouble.block), "bold"), f"  {plain(trouble.kind)}: {', '.join(facts)}")
    said = " ".join(plain(trouble.said).split())
    line.append(f"  {said}" if said else "", style="bright_black")
    line.truncate(width, overflow="ellipsis")
    return line


def _left(block: BlockProgress, seconds: float) -> str:
    """Say when a block will be done, if it goes on as it did since its first shard."""
    rest = block.expected - block.rows_in
    if block.started is None or not block.rows_in or rest <= 0 or seconds <= block.started:
        return ""
    return span(rest * (seconds - block.started) / block.rows_in)


def _number(number: int) -> str:
    return f"{number:,}" if number else ""
