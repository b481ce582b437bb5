"""Which share of the rows passes a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sdg_prefect.counts import Counts
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Repeat


def passing(nodes: Iterable[Node], counts: Mapping[str, Counts]) -> float:
    """Return the share of rows that pass some parts of a flow, one after the other: those of the parts, multiplied.

    Of branches it is the average, as many rows as took each.

    Args:
        nodes: The parts.
        counts: What became of the rows of each step, by its label.
    """
    rate = 1.0
    for node in nodes:
        if isinstance(node, PipelinePlan):
            rate *= passing(node.steps, counts)
        elif isinstance(node, Fork):
            rate *= passing([node.split], counts) * _of_branches(node, counts) * passing([node.join], counts)
        elif isinstance(node, Repeat):
            rate *= passing([node.body, node.split, *([node.unmet] if node.unmet else []), node.join], counts)
        else:
            found = counts.get(node.label, Counts())
            rate *= found.gave_rows / found.rows_in if found.rows_in else 1.0
    return rate


def _of_branches(fork: Fork, counts: Mapping[str, Counts]) -> float:
    parted = counts.get(fork.split.label, Counts()).rows_out
    firsts = [next(branch.walk(), None) for branch in fork.branches]
    taken = [0 if first is None else counts.get(first.label, Counts()).rows_in for first in firsts]
    lost = sum(rows * (1 - passing([branch], counts)) for rows, branch in zip(taken, fork.branches, strict=True))
    return 1 - lost / parted if parted else 1.0
