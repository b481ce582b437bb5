"""A picture of a flow as SVG, drawn from the description of a plan as manifests have it.

A chain needs no layout engine: boxes stand one below the other, what is made of steps in a frame, each branch in one of its own.
A rail at the left leads into branches and past them, one at the right out of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from sdg_prefect.report.described import is_step, parts_of, texts_of, title_of

_WIDTH = 300
_HEIGHT = 46
_GAP = 26
_END = 30
_PAD = 16
_HEAD = 24
_LONGEST = 42


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
    lines: tuple[str, ...] = ()
    """Paths of arrows within it."""
    note: str = ""
    """What stands at the right of its title."""


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
    # The arrow ends at the frame, whose title it would cross.
    leads, top = arrow, y + (_GAP // 2 if arrow is None else _GAP)
    y = top + _HEAD - _GAP // 2
    inner: list[_Box] = []
    heads: list[_Box] = []
    on: str | None = None
    aside = _aside(node)
    for part in parts_of(node):
        # How many rows are left after the last round is not known apart.
        arrow = None if part in aside else "" if part is node.get("unmet") else on
        placed, says = _node(part, inset - 1, middle, y, arrow, rows)
        on = says
        if part in node.get("ways", ()):
            placed[0] = replace(placed[0], note=f"{says} out" if says else "")
        heads.append(placed[0])
        inner += placed
        y = max(box.y + box.height for box in placed)
    left, width = middle - inset * _PAD, _WIDTH + 2 * inset * _PAD
    lines = tuple(_rails(node, heads, left + _PAD // 2, left + width - _PAD // 2))
    frame = _Box("pipeline", left, top, width, y + _PAD // 2 - top, title_of(node), arrow=leads, lines=lines)
    return [frame, *inner], on or ""


def _aside(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the parts to which no arrow leads from the one before."""
    if "branches" in node:
        return [*node["ways"], node["join"]]
    return [node["join"]] if node.get("unmet") else []


def _rails(node: Mapping[str, Any], heads: Sequence[_Box], left: int, right: int) -> Iterator[str]:
    """Draw how rows part and come together.

    Args:
        node: What is made of steps.
        heads: The outermost box of each part.
        left: Where the rail at the left is.
        right: Where that at the right is.
    """
    if "branches" in node:
        split, *ways, join = heads
        yield from (_rail(left, split, way, way.x) for way in ways)
        yield from (_rail(right, way, join, join.x + join.width) for way in ways)
        if node["rest"] == "pass":
            yield _rail(left, split, join, join.x)
    elif "repeat" in node:
        body, split, *_, join = heads
        yield _rail(left, split, body, body.x)
        if node["unmet"]:
            yield _rail(right, split, join, join.x + join.width)
            yield _rail(left, heads[2], join, join.x)


def _rail(rail: int, start: _Box, end: _Box, tip: int) -> str:
    """Return the path from the side of a box over a rail to the side of another one, where its tip is."""
    edge = start.x if rail < start.x else start.x + start.width
    back = -6 if tip > rail else 6
    return f"M{edge} {_side(start)}H{rail}V{_side(end)}H{tip}m{back} -4l{-back} 4l{back} 4"


def _side(box: _Box) -> int:
    """Return the height at which arrows come to the side of a box and leave it: at the title of a frame."""
    return box.y + (12 if box.kind == "pipeline" else box.height // 2)


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
    parts += [Markup('<path class="arrow" d="{path}"/>').format(path=path) for path in box.lines]
    if box.kind == "pipeline":
        longest = _LONGEST - len(box.note)
        parts.append(_text("facts", box.x + 10, box.y + 16, box.title, longest))
        parts += [_text("facts right", box.x + box.width - 10, box.y + 16, box.note)] if box.note else []
    elif box.facts:
        parts.append(_text("name", box.x + 12, box.y + 19, box.title))
        parts.append(_text("facts", box.x + 12, box.y + 36, box.facts))
    else:
        parts.append(_text("name middle", middle, box.y + 20, box.title))
    return Markup("<g><title>{title}</title>{parts}</g>").format(
        title=" · ".join(filter(None, (box.title, box.facts))), parts=Markup("").join(parts)
    )


def _text(kind: str, x: int, y: int, text: str, longest: int = _LONGEST) -> Markup:
    short = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return Markup('<text class="{kind}" x="{x}" y="{y}">{text}</text>').format(kind=kind, x=x, y=y, text=short)


_STYLE = Markup(
    "<style>.flow{--l:#8a929b;--b:#fff;--f:#1b1f24;--m:#57606a;--a:#0b62c4;--s:#f6f8fa;font:13px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){.flow{--l:#6e7681;--b:#0d1117;--f:#e6edf3;--m:#9da7b1;--a:#58a6ff;--s:#161b22}}"
    ".flow rect{fill:var(--b);stroke:var(--l)}.flow rect.pipeline,.flow rect.end{fill:var(--s)}"
    ".flow rect.all{stroke:var(--a);stroke-width:2}.flow .arrow{fill:none;stroke:var(--m)}.flow text{fill:var(--f)}"
    ".flow .facts{fill:var(--m);font-size:11px}.flow .name{font-weight:600}.flow .middle{text-anchor:middle}"
    ".flow .right{text-anchor:end}</style>"
)
