"""A picture of a flow as SVG, drawn from the description of a plan as manifests have it.

A chain needs no layout engine: boxes stand one below the other, what is made of steps in a frame, each branch in one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sdg_prefect.report.described import is_step, parts_of, texts_of, title_of

_WIDTH = 300
_HEIGHT = 46
_GAP = 26
_END = 30
_PAD = 16
_HEAD = 24
_LONGEST = 38


@dataclass(frozen=True, slots=True)
class _Box:
    kind: str
    x: int
    y: int
    width: int
    height: int
    title: str
    facts: str = ""
    arrow: str | None = None
    """What stands at the arrow that leads to it; None where none does."""


def flow_svg(flow: Mapping[str, Any], rows: Mapping[str, int] | None = None) -> Markup:
    """Draw a flow as SVG. Its colours are those of the page that it stands in; by itself it has some of its own.

    Args:
        flow: The description of a plan.
        rows: By label of a step, how many rows it gave.
    """
    boxes = list(_boxes(flow, rows or {}))
    depth = max(box.x for box in boxes)
    width = _WIDTH + 2 * (depth + _PAD)
    height = max(box.y + box.height for box in boxes) + _PAD
    drawn = Markup("").join(_drawn(box) for box in sorted(boxes, key=lambda box: box.kind != "pipeline"))
    return Markup(
        '<svg class="flow" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="{label}">{style}{drawn}</svg>'
    ).format(width=width, height=height, label=f"The flow {flow['name']}, block by block", style=_STYLE, drawn=drawn)


def _boxes(flow: Mapping[str, Any], rows: Mapping[str, int]) -> Iterator[_Box]:
    deepest = max(map(_depth, flow["pipelines"]), default=0)
    middle = _PAD + deepest * _PAD
    yield _Box("end", middle, _PAD, _WIDTH, _END, "seeds")
    y, arrow = _PAD + _END, ""
    for pipeline in flow["pipelines"]:
        boxes, arrow = _node(pipeline, deepest, middle, y, arrow, rows)
        yield from boxes
        y = max(box.y + box.height for box in boxes)
    yield _Box("end", middle, y + _GAP, _WIDTH, _END, "output", arrow=arrow)


def _node(
    node: Mapping[str, Any], inset: int, middle: int, y: int, arrow: str | None, rows: Mapping[str, int]
) -> tuple[list[_Box], str]:
    """Place the boxes of a step, or of what is made of steps.

    Args:
        node: What to place.
        inset: How far a frame stands out, in units of a pad.
        middle: Where boxes begin.
        y: Where what is before it ends.
        arrow: What stands at the arrow that leads to it; None for none.
        rows: By label of a step, how many rows it gave.

    Returns:
        The boxes, and what stands at the arrow that leads on.
    """
    if is_step(node):
        box = _Box("all" if node["scope"] == "all" else "row", middle, y + _GAP, _WIDTH, _HEIGHT, *texts_of(node), arrow)
        return [box], f"{rows[node['label']]:,} rows" if node["label"] in rows else ""
    top = y + _GAP // 2
    y = top + _HEAD - _GAP // 2
    inner: list[_Box] = []
    on, ways = arrow, node.get("ways", ())
    for part in parts_of(node):
        # Each branch but the first begins anew: its rows come from where they part.
        placed, on = _node(part, inset - 1, middle, y, None if part in ways[1:] else on, rows)
        inner += placed
        y = max(box.y + box.height for box in placed)
    frame = _Box("pipeline", middle - inset * _PAD, top, _WIDTH + 2 * inset * _PAD, y + _PAD // 2 - top, title_of(node))
    return [frame, *inner], on or ""


def _depth(node: Mapping[str, Any]) -> int:
    return 0 if is_step(node) else 1 + max(map(_depth, parts_of(node)), default=0)


def _drawn(box: _Box) -> Markup:
    middle = box.x + box.width // 2
    parts = []
    if box.arrow is not None:
        parts.append(
            Markup('<path class="arrow" d="M{middle} {top}V{tip}m-4 -6l4 6l4 -6"/>').format(
                middle=middle, top=box.y - _GAP, tip=box.y - 1
            )
        )
        if box.arrow:
            parts.append(
                Markup('<text class="facts" x="{x}" y="{y}">{text}</text>').format(x=middle + 10, y=box.y - 8, text=box.arrow)
            )
    radius = box.height // 2 if box.kind == "end" else 6
    shape = Markup('<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>')
    parts.append(shape.format(kind=box.kind, x=box.x, y=box.y, width=box.width, height=box.height, radius=radius))
    if box.kind == "pipeline":
        parts.append(_text("facts", box.x + 10, box.y + 16, box.title))
    elif box.facts:
        parts.append(_text("name", box.x + 12, box.y + 19, box.title))
        parts.append(_text("facts", box.x + 12, box.y + 36, box.facts))
    else:
        parts.append(_text("name middle", middle, box.y + 20, box.title))
    return Markup("<g><title>{title}</title>{parts}</g>").format(
        title=" · ".join(filter(None, (box.title, box.facts))), parts=Markup("").join(parts)
    )


def _text(kind: str, x: int, y: int, text: str) -> Markup:
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return Markup('<text class="{kind}" x="{x}" y="{y}">{text}</text>').format(kind=kind, x=x, y=y, text=short)


_STYLE = Markup(
    "<style>.flow{--l:#8a929b;--b:#fff;--f:#1b1f24;--m:#57606a;--a:#0b62c4;--s:#f6f8fa;font:13px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){.flow{--l:#6e7681;--b:#0d1117;--f:#e6edf3;--m:#9da7b1;--a:#58a6ff;--s:#161b22}}"
    ".flow rect{fill:var(--b);stroke:var(--l)}.flow rect.pipeline,.flow rect.end{fill:var(--s)}"
    ".flow rect.all{stroke:var(--a);stroke-width:2}.flow .arrow{fill:none;stroke:var(--m)}.flow text{fill:var(--f)}"
    ".flow .facts{fill:var(--m);font-size:11px}.flow .name{font-weight:600}.flow .middle{text-anchor:middle}</style>"
)
