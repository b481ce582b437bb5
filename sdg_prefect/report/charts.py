"""Small charts as SVG, without scripts: what a report needs, and no more.

Each is drawn in the colours of the page and has its figures in words, for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sdg_prefect.frequencies import Bin

_WIDTH = 360
_HEIGHT = 110
_FOOT = 18
_FEWEST = 4
"""Bars or moments below which a picture says no more than its caption."""


def compact(number: float) -> str:
    """Write a number in few characters: three digits that count."""
    size = abs(number)
    if size >= 1e6:
        return f"{number / 1e6:.3g} M"
    if size >= 1e4:
        return f"{number / 1e3:.3g} k"
    return f"{number:,.0f}" if size >= 100 else f"{number:.3g}"


def histogram(bins: Sequence[Bin], says: str, unit: str = "") -> Markup:
    """Draw a histogram.

    Nothing is drawn where there is little to see.

    Args:
        bins: Its bars, from the least to the greatest.
        says: What it shows, in words.
        unit: What stands behind the numbers of its axis.
    """
    most = max((one.count for one in bins), default=0)
    if len(bins) < _FEWEST or not most:
        return Markup("")
    width = _WIDTH / len(bins)
    bars = Markup("").join(
        Markup('<rect x="{x}" y="{y}" width="{width}" height="{height}"><title>{title}</title></rect>').format(
            x=_short(place * width + 0.5),
            y=_short(_HEIGHT * (1 - one.count / most)),
            width=_short(max(1.0, width - 1)),
            height=_short(_HEIGHT * one.count / most),
            title=f"{compact(one.low)} to {compact(one.high)}{unit}: {one.count:,}",
        )
        for place, one in enumerate(bins)
    )
    middle = bins[len(bins) // 2].low if len(bins) > 2 else None
    labels = [(0.0, "start", compact(bins[0].low) + unit), (float(_WIDTH), "end", compact(bins[-1].high) + unit)]
    labels += [(_WIDTH * (len(bins) // 2) / len(bins), "middle", compact(middle) + unit)] if middle is not None else []
    return _chart(bars + _axis(labels), says)


def area(values: Sequence[float], says: str, end: str, most: float | None = None) -> Markup:
    """Draw values at even moments as an area.

    Args:
        values: From the first to the last.
        says: What it shows, in words.
        end: What stands at the end of its axis.
        most: The value that stands at its top; the greatest if not given.
    """
    top = most or max(values, default=0.0)
    if len(values) < _FEWEST or not top:
        return Markup("")
    step = _WIDTH / (len(values) - 1)
    points = " ".join(f"{_short(place * step)},{_short(_HEIGHT * (1 - value / top))}" for place, value in enumerate(values))
    shape = Markup('<polygon points="0,{floor} {points} {width},{floor}"/><polyline points="{points}"/>')
    drawn = shape.format(points=points, floor=_HEIGHT, width=_WIDTH)
    return _chart(drawn + _axis([(0.0, "start", "0 s"), (float(_WIDTH), "end", end)]), says)


def _chart(drawn: Markup, says: str) -> Markup:
    return Markup(
        '<svg class="chart" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="{says}">'
        "<line x1='0' y1='{floor}' x2='{width}' y2='{floor}'/>{drawn}</svg>"
    ).format(width=_WIDTH, height=_HEIGHT + _FOOT, floor=_HEIGHT, says=says, drawn=drawn)


def _axis(labels: Sequence[tuple[float, str, str]]) -> Markup:
    return Markup("").join(
        Markup('<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>').format(
            x=_short(place), y=_HEIGHT + _FOOT - 4, anchor=anchor, text=text
        )
        for place, anchor, text in labels
    )


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
