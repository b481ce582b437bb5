"""From a validated flow to its plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from sdg_prefect.blocks.duplicates import DropDuplicates
from sdg_prefect.frozen import digest
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.plan import PipelinePlan, Plan, Step
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec
from sdg_prefect.spec.tracking import Tracking


def compile_plan(flow: FlowSpec, tracking: Tracking, endpoints: Mapping[str, Endpoint], salt: str = "") -> Plan:
    """Compile a flow.

    Args:
        flow: The flow.
        tracking: Its columns.
        endpoints: Where each model id is served.
        salt: Goes into every key, so that nothing of earlier runs is reused (``--fresh``).
    """
    names = Counter(item.name for item, _ in flow.blocks())
    compiler = _Compiler({model_id: endpoint.identity for model_id, endpoint in endpoints.items()}, salt, tracking, names)
    output = tracking.output
    return Plan(
        name=flow.name,
        file=flow.file,
        pipelines=tuple(compiler.pipeline(pipeline) for pipeline in flow.pipelines),
        endpoints=dict(endpoints),
        output_columns=output.names if flow.output_columns is not None else None,
        max_reject_rate=flow.max_reject_rate,
        budget=flow.budget,
        warnings=(*flow.warnings, *(problem for problem in tracking.problems if problem.warning)),
    )


@dataclass(frozen=True)
class _Compiler:
    served: Mapping[str, str]
    salt: str
    tracking: Tracking
    names: Counter[str]

    def pipeline(self, spec: PipelineSpec, times: int = 1) -> PipelinePlan:
        steps: list[Step | PipelinePlan] = []
        for item in spec.items:
            steps.extend(self.item(spec, item))
        if spec.output_columns is not None:
            steps[-1] = _keeping(steps[-1], spec.output_columns)
        return PipelinePlan(spec.name, tuple(steps), times)

    def item(self, spec: PipelineSpec, item: Item) -> list[Step | PipelinePlan]:
        label = item.name if self.names[item.name] <= 1 else f"{spec.name}.{item.name}"
        made: list[Step | PipelinePlan] = []
        if item.pipeline is not None:
            nested = self.pipeline(replace(item.pipeline, name=item.name), item.times)
            made.append(_dropping(nested, item.drop_columns))
        else:
            made.append(self.step(item, label))
        if item.drop_duplicates:
            made.append(self.without_duplicates(item, label))
        return made

    def step(self, item: Item, label: str) -> Step:
        assert item.block is not None
        block = item.block
        scope: Literal["row", "all"] = "row" if item.scope == "shard" else block.own_scope()
        step = Step(
            name=item.name,
            label=label,
            block=block,
            key="",
            ledger_key=digest(block.ask_key(self.served), self.salt, size=10) if any(block.model_ids()) else "",
            scope=scope,
            times=item.times,
            drop_columns=item.drop_columns,
            columns=self.tracking.after.get(id(item), ()),
        )
        return self.keyed(step)

    def without_duplicates(self, item: Item, label: str) -> Step:
        block = DropDuplicates(block_name=f"{item.name} · drop_duplicates", columns=item.drop_duplicates)
        scope: Literal["row", "all"] = "row" if item.scope == "shard" else "all"
        columns = self.tracking.after.get(id(item), ())
        return self.keyed(Step(block.block_name, f"{label} · drop_duplicates", block, "", "", scope, columns=columns))

    def keyed(self, step: Step) -> Step:
        key = digest(step.block.key(self.served), step.scope, step.drop_columns, step.keep_columns, self.salt, size=10)
        parts = {
            **step.block.key_parts(self.served),
            "scope": step.scope,
            "drop_columns": step.drop_columns,
            "--fresh": self.salt,
        }
        return replace(step, key=key, parts={name: digest(value, size=4) for name, value in parts.items()})


def _keeping(step: Step | PipelinePlan, columns: tuple[str, ...]) -> Step | PipelinePlan:
    """Let the last step of a pipeline hand on only some columns."""
    if isinstance(step, PipelinePlan):
        return replace(step, steps=(*step.steps[:-1], _keeping(step.steps[-1], columns)))
    return _rekeyed(step, "output_columns", columns, keep_columns=columns)


def _dropping(pipeline: PipelinePlan, columns: tuple[str, ...]) -> PipelinePlan:
    """Let the last step of a nested pipeline drop columns that its item drops."""
    if not columns:
        return pipeline
    last = pipeline.steps[-1]
    if isinstance(last, PipelinePlan):
        dropped: Step | PipelinePlan = _dropping(last, columns)
    else:
        all_dropped = (*last.drop_columns, *columns)
        dropped = _rekeyed(last, "drop_columns", all_dropped, drop_columns=all_dropped)
    return replace(pipeline, steps=(*pipeline.steps[:-1], dropped))


def _rekeyed(step: Step, part: str, value: tuple[str, ...], **changed: tuple[str, ...]) -> Step:
    """Change what is done after a block, and its key with it."""
    parts = {**step.parts, part: digest(value, size=4)}
    return replace(step, **changed, parts=parts, key=digest(step.key, part, value, size=10))  # type: ignore[arg-type]
