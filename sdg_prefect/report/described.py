"""The description of a plan, as manifests have it, step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def steps_of(flow: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the steps of a flow by their labels, in order; those of nested pipelines too.

    Args:
        flow: ``flow`` of a manifest.
    """
    return {str(step["label"]): step for pipeline in flow["pipelines"] for step in _walk(pipeline)}


def is_step(node: Mapping[str, Any]) -> bool:
    """True for a step; False for what is made of steps."""
    return "label" in node


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if is_step(node):
        yield node
        return
    for part in parts_of(node):
        yield from _walk(part)


def parts_of(node: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what something is made of, in the order in which rows pass it."""
    if "branches" in node:
        return [node["split"], *node["ways"], node["join"]]
    if "repeat" in node:
        return [node["body"], node["split"], *([node["unmet"]] if node["unmet"] else []), node["join"]]
    steps: Sequence[Mapping[str, Any]] = node["steps"]
    return steps


def title_of(node: Mapping[str, Any]) -> str:
    """Return what stands at the head of something that is made of steps."""
    if "branches" in node:
        rest = {"pass": "others pass by", "reject": "others are rejected", "filter": "others are left out"}[node["rest"]]
        return f"{node['branches']} · branches, {rest}"
    if "repeat" in node:
        return f"{node['repeat']} · up to {node['most']} rounds until {node['until']}"
    when = f" · when {node['when']}" if node.get("when", "true") != "true" else " · all others" if "when" in node else ""
    times = f" × {node['times']}" if node["times"] > 1 else ""
    return f"{node['pipeline']}{when}{times}"


def texts_of(step: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name of a step and what there is to say of it, each on a line."""
    facts = [str(step["type"]), *map(str, step["models"])]
    facts += ["waits for all rows"] if step["scope"] == "all" else []
    facts += [f"× {step['times']}"] if step["times"] > 1 else []
    facts += [f"when {step['when']}"] if step["when"] else []
    return str(step["name"]), " · ".join(facts)
