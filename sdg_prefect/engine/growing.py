"""Runs that let an output grow: which seeds they take, and whether there is anything to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.delivering import Grown, Replaced, Target, told
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.frozen import digest
from sdg_prefect.plan.plan import Plan
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.versions import Versions

if TYPE_CHECKING:
    import pyarrow as pa


def target_of(plan: Plan, options: RunOptions, seeds: pa.Table, warnings: list[str]) -> Target:
    """Say where the rows of a run go.

    Args:
        plan: What it does.
        options: How.
        seeds: Its seeds.
        warnings: Gets what the user should know of the versions that are there.
    """
    if not options.grows or options.output is None:
        return Replaced(options.output, options.keep_ids)
    versions = Versions(options.output)
    before, key = versions.all(), _key(plan)
    if before and before[-1].key != key and not options.mirror:
        warnings.append(
            f"the flow is not what it was for version {before[-1].number} of {options.output}; the rows that are there stay as "
            "they are. --mirror makes all anew."
        )
    if not options.mirror:
        warnings += [
            f"block '{name}' sees the rows of one version only, for an incremental run has no others. --mirror shows it all."
            for name in dict.fromkeys(step.name for step in plan.steps() if step.scope == "all")
        ]
    return Grown(versions, before, seeds.column(ROW_ID), plan.name, key, options.mirror, options.keep_ids)


def nothing_new(plan: Plan, options: RunOptions, seeds: pa.Table) -> Mapping[str, Any] | None:
    """Return what a report says of an output that has the rows of all seeds; None where there is something to do.

    What a run that was killed at its very end left undone is done.
    """
    if not options.grows or options.output is None:
        return None
    versions = Versions(options.output)
    if versions.is_made_of(seeds, _key(plan)) if options.mirror else not seeds.num_rows:
        now = versions.now()
        if now and not versions.is_published():
            versions.publish(keep_ids=options.keep_ids)
        return told(now) or {"number": 0, "rows": 0, "seeds": 0, "rows_added": 0, "seeds_added": 0}
    return None


def _key(plan: Plan) -> str:
    """Stand for all that decides the rows besides the seeds."""
    return digest([step.key for step in plan.steps()], plan.output_columns)
