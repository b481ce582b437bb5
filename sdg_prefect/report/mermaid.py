"""A picture of a flow as Mermaid, which GitHub and many editors draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.report.described import is_step, parts_of, texts_of, title_of


def mermaid(flow: Mapping[str, Any], rows: Mapping[str, int] | None = None) -> str:
    """Draw a flow as a Mermaid flowchart.

    Args:
        flow: The description of a plan.
        rows: By label of a step, how many rows it gave; written on the arrows.
    """
    drawing = _Drawing(rows or {})
    ends = [_End("seeds")]
    for pipeline in flow["pipelines"]:
        ends = drawing.node(pipeline, ends, "  ")
    drawing.lines.append('  output(["output"])')
    drawing.arrows(ends, "output", "  ")
    return "\n".join(drawing.lines) + "\n"


@dataclass(frozen=True, slots=True)
class _End:
    """Where an arrow begins, and what stands on it."""

    node: str
    says: str = ""


@dataclass
class _Drawing:
    rows: Mapping[str, int]
    lines: list[str] = field(default_factory=lambda: ["flowchart TD", '  seeds(["seeds"])'])
    _count: int = 0

    def node(self, node: Mapping[str, Any], ends: Sequence[_End], indent: str) -> list[_End]:
        """Draw a step, or what is made of steps; return where the arrows to what comes next begin."""
        if is_step(node):
            return self._step(node, ends, indent)
        self.lines.append(f'{indent}subgraph {self._name()}["{_quoted(title_of(node))}"]')
        inner = f"{indent}  "
        if "branches" in node:
            ends = self._branches(node, ends, inner)
        elif "repeat" in node:
            ends = self._repeat(node, ends, inner)
        else:
            for part in parts_of(node):
                ends = self.node(part, ends, inner)
        self.lines.append(f"{indent}end")
        return list(ends)

    def _step(self, step: Mapping[str, Any], ends: Sequence[_End], indent: str) -> list[_End]:
        name = self._name()
        left, right = ('[/"', '"/]') if step["scope"] == "all" else ('["', '"]')
        self.lines.append(f"{indent}{name}{left}{'<br/>'.join(map(_quoted, texts_of(step)))}{right}")
        self.arrows(ends, name, indent)
        return [_End(name, f"{self.rows[step['label']]:,}" if step["label"] in self.rows else "")]

    def _branches(self, node: Mapping[str, Any], ends: Sequence[_End], indent: str) -> list[_End]:
        (split,) = self._step(node["split"], ends, indent)
        found = [_End(split.node, "others")] if node["rest"] == "pass" else []
        for way in node["ways"]:
            found += self.node(way, [_End(split.node)], indent)
        return self._step(node["join"], found, indent)

    def _repeat(self, node: Mapping[str, Any], ends: Sequence[_End], indent: str) -> list[_End]:
        first = self._count + 2
        (split,) = self._step(node["split"], self.node(node["body"], ends, indent), indent)
        self.lines.append(f"{indent}{split.node} -->|again| n{first - 1}")
        done = [_End(split.node, "done")]
        if node["unmet"]:
            done += self._step(node["unmet"], [_End(split.node, "left")], indent)
        return self._step(node["join"], done, indent)

    def arrows(self, ends: Sequence[_End], to: str, indent: str) -> None:
        """Draw arrows."""
        self.lines += [f"{indent}{end.node} -->{f'|{_quoted(end.says)}|' if end.says else ''} {to}" for end in ends]

    def _name(self) -> str:
        self._count += 1
        return f"n{self._count - 1}"


def _quoted(text: str) -> str:
    """Return a text as Mermaid takes it within quotes: what could end them, or be markup, as entities."""
    return "".join(char if char.isalnum() or char in " -_.·×,:()" else f"#{ord(char)};" for char in " ".join(text.split()))
