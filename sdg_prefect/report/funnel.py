"""What becomes of the rows from block to block, drawn with the letters of Markdown."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from sdg_prefect.counts import Counts
from sdg_prefect.report.counting import Standing
from sdg_prefect.report.forecast import Range
from sdg_prefect.report.inert import in_markdown

_WIDTH = 20
_EIGHTHS = " ▏▎▍▌▋▊▉"
_GONE = {"filtered": "filtered", "deduplicated": "duplicates", "rejected": "rejected"}


def bar(share: float, width: int = _WIDTH, rest: str = "░") -> str:
    """Draw a part of a whole, from 0 to 1, on so many columns."""
    full, part = divmod(round(min(1.0, max(0.0, share)) * width * 8), 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width, rest)


def funnel(rows: int, blocks: Mapping[str, Counts]) -> list[str]:
    """Return the lines of a table: how many rows came out of each block, also as a bar, and where the others went.

    Args:
        rows: Seeds of the run.
        blocks: The counts of each block by its name, in the order of the flow.
    """
    widest = max(1, rows, *(counts.rows_out for counts in blocks.values()))
    gone = {kind: word for kind, word in _GONE.items() if any(getattr(counts, kind) for counts in blocks.values())}
    lines = [_line(("block", "rows in", "rows out", "", *gone.values())), "|---|--:|--:|:--|" + "--:|" * len(gone)]
    for name, counts in blocks.items():
        drawn = f"`{bar(counts.rows_out / widest)}`"
        numbers = (_number(getattr(counts, kind)) for kind in gone)
        lines.append(_line((in_markdown(name), _number(counts.rows_in), _number(counts.rows_out), drawn, *numbers)))
    return lines


def bars(rows: int, blocks: Mapping[str, int]) -> list[str]:
    """Return the lines of a table: how many rows came out of each block, as a bar.

    Args:
        rows: Seeds of the run.
        blocks: The rows that came out of each block, by its name.
    """
    widest = max(1, rows, *blocks.values())
    lines = [_line((in_markdown(name), _number(count), f"`{bar(count / widest)}`")) for name, count in blocks.items()]
    return [_line(("block", "rows out", "")), "|---|--:|:--|", *lines]


def reasons(rejected: Mapping[tuple[str, str], int], most: int) -> list[str]:
    """Return the lines of a table: how many rows each block rejected for which class of error.

    Args:
        rejected: The number of rows by block and class of error.
        most: Lines at most; the rest is added up in one more.
    """
    if not rejected:
        return []
    ordered = sorted(rejected.items(), key=lambda one: (-one[1], one[0]))
    lines = [_line(("block", "why rejected", "rows")), "|---|---|--:|"]
    lines += [_line((in_markdown(block), in_markdown(error), _number(count))) for (block, error), count in ordered[:most]]
    if rest := sum(count for _, count in ordered[most:]):
        lines.append(_line(("others", "", _number(rest))))
    return lines


def live_markdown(standing: Standing, rate: float, notice: str = "") -> str:
    """Write how far a run is.

    Args:
        standing: How far that is.
        rate: Calls a second, lately.
        notice: What else there is to know, such as that the run is paused.
    """
    left = standing.seconds_left
    facts = [f"{standing.share:.0%} done", f"{span(standing.seconds)} so far"]
    facts += [f"{left.text(span)} left"] if left is not None and not notice else []
    lines = [
        f"## {' · '.join(facts)}",
        "",
        *([f"**{in_markdown(notice)}**", ""] if notice else []),
        f"`{bar(standing.share)}`",
        "",
    ]
    lines += [f"{standing.rows:,} seeds.", "", *funnel(standing.rows, {one.name: one.counts for one in standing.blocks}), ""]
    if standing.calls:
        calls = f"{standing.calls:,}{_of(standing.calls, standing.calls_in_all, '{:,.0f}'.format)}"
        lines += [
            f"{calls} calls, {rate:.1f} a second, {standing.tokens:,} tokens{f', {cost_of(standing)}' if standing.usd else ''}.",
            "",
        ]
    return "\n".join([*lines, f"As of {time.strftime('%H:%M:%S', time.gmtime())} UTC."])


def cost_of(standing: Standing) -> str:
    """Say what all calls have cost, and will have at the end; nothing where they cost nothing."""
    if not standing.usd:
        return ""
    return f"{_dollars(standing.usd)}{_of(standing.usd, standing.usd_in_all, _dollars)}"


def _of(now: float, in_all: Range | None, write: Callable[[float], str]) -> str:
    return f" of {in_all.text(write)}" if in_all is not None and in_all.likely > now else ""


def _dollars(amount: float) -> str:
    return f"${amount:,.4f}"


def span(seconds: float) -> str:
    """Write a span of time for people: ``40 s``, ``3 min``, ``2 h 5 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(number: int) -> str:
    return f"{number:,}" if number else "·"
