"""From a validated flow to its plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.duplicates import DropDuplicates
from sdg_prefect.blocks.lanes import Join, Split, Unmet
from sdg_prefect.frozen import digest
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Plan, Repeat, Step, is_row_local
from sdg_prefect.report.expectations import Expectations
from sdg_prefect.rows import place_column
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec, Until
from sdg_prefect.spec.tracking import Tracking

_ABOUT = {"version", "author", "license", "tags"}


def compile_plan(flow: FlowSpec, tracking: Tracking, endpoints: Mapping[str, Endpoint], salt: str = "") -> Plan:
    """Compile a flow.

    Args:
        flow: The flow.
        tracking: Its columns.
        endpoints: Where each model id is served.
        salt: Goes into every key, so that nothing of earlier runs is reused (``--fresh``).
    """
    names = Counter(item.name for item in flow.items() if item.is_labelled)
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
        parameters=flow.values,
        expect=flow.expect,
        about={"description": flow.description, **flow.about.model_dump(mode="json", include=_ABOUT)},
        warnings=(*flow.warnings, *(problem for problem in tracking.problems if problem.warning)),
    )


@dataclass(frozen=True)
class _Compiler:
    served: Mapping[str, str]
    salt: str
    tracking: Tracking
    names: Counter[str]
    depth: int = 0
    """Lanes inside of which the walk is."""

    def pipeline(self, spec: PipelineSpec, times: int = 1) -> PipelinePlan:
        steps: list[Node] = []
        for item in spec.items:
            steps.extend(self.item(spec, item))
        if spec.output_columns is not None:
            steps[-1] = _keeping(steps[-1], spec.output_columns)
        return PipelinePlan(spec.name, tuple(steps), times)

    def item(self, spec: PipelineSpec, item: Item) -> list[Node]:
        label = item.name if self.names[item.name] <= 1 else f"{spec.name}.{item.name}"
        if item.block is not None and not (item.when and item.times > 1):
            made: list[Node] = [self.step(item, label, item.block)]
        else:
            # Rows that pass by a structure are not in it at all, so it is a branch.
            made = [self.passed_by(item, label)] if item.when else self.structure(item, label)
            made[-1] = _dropping(made[-1], item.drop_columns)
        if item.drop_duplicates:
            made.append(self.without_duplicates(item, label))
        if item.expect:
            made[-1] = _expecting(made[-1], item.expect)
        return made

    @property
    def inside(self) -> _Compiler:
        """Compiles what is in a lane."""
        return replace(self, depth=self.depth + 1)

    def passed_by(self, item: Item, label: str) -> Fork:
        """Compile a structure that rows pass by for which its condition does not hold."""
        if item.block is not None:
            made: list[Node] = [self.step(replace(item, when="", drop_columns=()), label, item.block)]
        else:
            made = self.inside.structure(item, label)
        return self.fork(item, label, [item.when], [PipelinePlan(item.name, tuple(made))], "pass", "when")

    def structure(self, item: Item, label: str) -> list[Node]:
        """Compile what is made of blocks."""
        if item.branches:
            branches = [self.inside.pipeline(branch.pipeline) for branch in item.branches]
            return [self.fork(item, label, [branch.when for branch in item.branches], branches, item.rest, "branches")]
        assert item.pipeline is not None
        if item.until is not None:
            return self.repeat(item, item.pipeline, item.until, label)
        return [self.pipeline(replace(item.pipeline, name=item.name), item.times)]

    def fork(
        self,
        item: Item,
        label: str,
        conditions: Sequence[str],
        branches: Sequence[PipelinePlan],
        rest: Literal["pass", "reject", "filter"],
        what: str,
    ) -> Fork:
        place = place_column(self.depth)
        scope: Literal["row", "all"] = "row" if all(map(is_row_local, branches)) else "all"
        split = Split(block_name=f"{item.name} · {what}", conditions=tuple(conditions), place=place, rest=rest)
        return Fork(item.name, self.made(item, label, split, scope), tuple(branches), self.join(item, label, place, scope))

    def repeat(self, item: Item, pipeline: PipelineSpec, until: Until, label: str) -> list[Node]:
        """Compile a repetition; a single round is a pipeline."""
        body = self.inside.pipeline(replace(pipeline, name=item.name))
        unmet = None
        if until.unmet != "keep":
            block = Unmet(block_name=f"{item.name} · unmet", until=until.condition, unmet=until.unmet, rounds=until.most)
            unmet = self.made(item, label, block, "row")
        if until.most == 1:
            return [body, *([unmet] if unmet else [])]
        place = place_column(self.depth)
        scope: Literal["row", "all"] = "row" if is_row_local(body) else "all"
        split = Split(block_name=f"{item.name} · until", conditions=(f"not ({until.condition})",), place=place)
        made, join = self.made(item, label, split, scope), self.join(item, label, place, scope)
        return [Repeat(item.name, body, until.condition, until.most, made, unmet, join)]

    def join(self, item: Item, label: str, place: str, scope: Literal["row", "all"]) -> Step:
        columns = self.tracking.joined[id(item)]
        block = Join(block_name=f"{item.name} · join", place=place, columns=columns.names, is_open=columns.open)
        return self.made(item, label, block, scope)

    def step(self, item: Item, label: str, block: Block) -> Step:
        scope: Literal["row", "all"] = "row" if item.scope == "shard" else block.own_scope()
        step = Step(
            name=item.name,
            label=label,
            block=block,
            key="",
            ledger_key=digest(block.ask_key(self.served), self.salt, size=10) if any(block.model_ids()) else "",
            scope=scope,
            times=item.times,
            when=item.when,
            drop_columns=item.drop_columns,
            columns=self.tracking.after.get(id(item), ()),
        )
        return self.keyed(step)

    def without_duplicates(self, item: Item, label: str) -> Step:
        block = DropDuplicates(block_name=f"{item.name} · drop_duplicates", columns=item.drop_duplicates)
        return self.made(item, label, block, "row" if item.scope == "shard" else "all")

    def made(self, item: Item, label: str, block: Block, scope: Literal["row", "all"]) -> Step:
        """Make a step that nobody wrote, which belongs to an item."""
        columns = self.tracking.after.get(id(item), ())
        what = block.block_name.removeprefix(item.name)
        return self.keyed(Step(block.block_name, f"{label}{what}", block, "", "", scope, columns=columns))

    def keyed(self, step: Step) -> Step:
        key = digest(step.block.key(self.served), step.scope, step.drop_columns, step.keep_columns, self.salt, size=10)
        parts = {
            **step.block.key_parts(self.served),
            "scope": step.scope,
            "drop_columns": step.drop_columns,
            "--fresh": self.salt,
        }
        if step.when:
            key, parts = digest(key, step.when, size=10), {**parts, "when": step.when}
        return replace(step, key=key, parts={name: digest(value, size=4) for name, value in parts.items()})


def _keeping(node: Node, columns: tuple[str, ...]) -> Node:
    """Let the last step of a part of a plan hand on only some columns."""
    if isinstance(node, Step):
        return _rekeyed(node, "output_columns", columns, keep_columns=columns)
    if isinstance(node, PipelinePlan):
        return replace(node, steps=(*node.steps[:-1], _keeping(node.steps[-1], columns)))
    return replace(node, join=_rekeyed(node.join, "output_columns", columns, keep_columns=columns))


def _expecting(node: Node, expect: Expectations) -> Node:
    """Let the last step of an item be looked at."""
    if isinstance(node, Step):
        return replace(node, expect=expect)
    if isinstance(node, PipelinePlan):
        return replace(node, steps=(*node.steps[:-1], _expecting(node.steps[-1], expect)))
    return replace(node, join=replace(node.join, expect=expect))


def _dropping(node: Node, columns: tuple[str, ...]) -> Node:
    """Let the last step of a part of a plan drop columns that its item drops."""
    if not columns:
        return node
    if isinstance(node, PipelinePlan):
        return replace(node, steps=(*node.steps[:-1], _dropping(node.steps[-1], columns)))
    last = node if isinstance(node, Step) else node.join
    all_dropped = (*last.drop_columns, *columns)
    dropped = _rekeyed(last, "drop_columns", all_dropped, drop_columns=all_dropped)
    return dropped if isinstance(node, Step) else replace(node, join=dropped)


def _rekeyed(step: Step, part: str, value: tuple[str, ...], **changed: tuple[str, ...]) -> Step:
    """Change what is done after a block, and its key with it."""
    parts = {**step.parts, part: digest(value, size=4)}
    return replace(step, **changed, parts=parts, key=digest(step.key, part, value, size=10))  # type: ignore[arg-type]
