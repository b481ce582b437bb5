"""A bar chart as SVG: a panel for each case, a bar for each tool."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

_WIDTH, _LEFT, _RIGHT = 720, 120, 90
_BAR, _GAP, _TITLE, _EDGE = 18, 7, 34, 16


@dataclass(frozen=True)
class Panel:
    """The bars of a case."""

    title: str
    shares: list[tuple[str, float]]


def draw(panels: list[Panel], ours: str) -> str:
    """Return the chart.

    Args:
        panels: From top to bottom.
        ours: The tool whose bars stand out.
    """
    parts: list[str] = []
    top = _EDGE
    for panel in panels:
        parts.append(f'<text x="{_EDGE}" y="{top + 16}" font-weight="bold">{escape(panel.title)}</text>')
        top += _TITLE
        for tool, share in panel.shares:
            parts.append(_bar(tool, share, top, "#1b6ac9" if tool == ours else "#9aa5b1"))
            top += _BAR + _GAP
        top += _EDGE
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1f2933"'
    body = "\n".join([f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>', *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{body}\n</svg>\n'


def _bar(tool: str, share: float, top: int, colour: str) -> str:
    """Return a tool's name, its bar, which is as long as its share of a whole, and the share."""
    length = (_WIDTH - _LEFT - _RIGHT) * min(share, 1.0)
    line = top + _BAR - 5
    return (
        f'<text x="{_LEFT - 8}" y="{line}" text-anchor="end">{escape(tool)}</text>'
        f'<rect x="{_LEFT}" y="{top}" width="{length:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{line}">{share:.1%}</text>'
    )
