"""What a run would find in the store: which shards are there, and how many calls are left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.plan.plan import PipelinePlan, Plan, Step
from sdg_prefect.plan.sharding import Sizes, cut
from sdg_prefect.rows import fingerprint
from sdg_prefect.settings import settings
from sdg_prefect.store.checkpoints import RECORD, Checkpoint, checkpoint_folder, is_usable
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef


@dataclass
class StepOutlook:
    """What is known of a step before it runs."""

    name: str
    shards: int = 0
    shards_there: int = 0
    rows: int = 0
    """Input rows of the shards that have to run."""
    calls: int = 0
    """Calls for these rows."""
    is_exact: bool = True
    """False from the first step on whose input is not known before the steps above have run."""


@dataclass
class Outlook:
    """What is known of a run before it starts."""

    seeds: int
    shard_size: int
    steps: list[StepOutlook] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "seeds": self.seeds,
            "shard_size": self.shard_size,
            "steps": [
                {
                    "name": step.name,
                    "shards": step.shards,
                    "shards_there": step.shards_there,
                    "rows": step.rows,
                    "calls": step.calls,
                    "exact": step.is_exact,
                }
                for step in self.steps
            ],
        }

    def __str__(self) -> str:
        lines = [f"  {self.seeds:,} seeds in shards of {self.shard_size:,}"]
        for step in self.steps:
            if not step.is_exact:
                lines.append(f"    {step.name}: depends on the blocks before")
                continue
            calls = f", {step.calls:,} calls" if step.calls else ""
            there = f"{step.shards_there:,} of {step.shards:,} shards are there"
            lines.append(f"    {step.name}: {there}, {step.rows:,} rows to do{calls}")
        return "\n".join(lines)


def look_ahead(plan: Plan, options: RunOptions) -> Outlook:
    """Walk a plan through the store without running anything."""
    from sdg_prefect.store.seeds import read_seeds

    root = Root.at(options.storage or settings().storage)
    seeds = read_seeds(str(options.input), options.limit)
    size = Sizes(options.shard_size, len(plan.steps())).of(seeds.num_rows)
    outlook = Outlook(seeds.num_rows, size)
    parts = [seeds.slice(start, length) for start, length in cut(seeds.num_rows, size)]
    refs: list[DatasetRef] | None = [
        DatasetRef(uri="", rows=part.num_rows, fingerprint=fingerprint(part), columns=()) for part in parts
    ]
    for pipeline in plan.pipelines:
        refs = _walk(root, pipeline, refs, outlook)
    return outlook


def _walk(root: Root, plan: PipelinePlan, refs: list[DatasetRef] | None, outlook: Outlook) -> list[DatasetRef] | None:
    for step in plan.steps:
        if isinstance(step, PipelinePlan):
            refs = _walk(root, step, refs if step.times == 1 else None, outlook)
        else:
            refs = _look_at(root, step, refs, outlook)
    return refs


def _look_at(root: Root, step: Step, refs: list[DatasetRef] | None, outlook: Outlook) -> list[DatasetRef] | None:
    found = StepOutlook(step.name, is_exact=refs is not None)
    outlook.steps.append(found)
    if refs is None:
        return None
    inputs: list[Sequence[DatasetRef]] = [refs] if step.scope == "all" else [[ref] for ref in refs]
    if step.times > 1:
        inputs = [[ref.in_round(number) for ref in given] for number in range(step.times) for given in inputs]
    found.shards = len(inputs)
    by_part: dict[int, list[DatasetRef]] = {}
    for given in inputs:
        checkpoint = _recorded(root, step, given)
        if checkpoint is None:
            found.rows += sum(ref.rows for ref in given)
            continue
        found.shards_there += 1
        for number, ref in enumerate(checkpoint.parts):
            by_part.setdefault(number, []).append(ref)
    found.calls = found.rows * step.block.calls_per_row()
    if found.shards_there < found.shards:
        return None
    return [ref for number in sorted(by_part) for ref in by_part[number]]


def _recorded(root: Root, step: Step, refs: Sequence[DatasetRef]) -> Checkpoint | None:
    """Read the record of a checkpoint, if it is there and usable."""
    folder = checkpoint_folder(step.key, step.checkpoint_key(tuple(ref.content for ref in refs)))
    try:
        record = json.loads(root.read(folder, RECORD))
        result = json.loads(record["result"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
    checkpoint = Checkpoint.model_validate(result.get("data", result))
    return checkpoint if is_usable(root, checkpoint, "") else None
