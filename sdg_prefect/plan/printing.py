"""A plan as text."""

from __future__ import annotations

from collections.abc import Iterator

from sdg_prefect.blocks.lanes import Split, Unmet
from sdg_prefect.frozen import canonical
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.prompt_cache import mark_of
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Plan, Repeat, Step


def plan_text(plan: Plan) -> str:
    """Write a plan for people: its pipelines, blocks, models and columns."""
    lines = [f"flow {plan.name}  ({plan.file})"]
    lines += [f"  parameter {name} = {canonical(value).decode()}" for name, value in plan.parameters.items()]
    for model_id, endpoint in sorted(plan.endpoints.items()):
        lines += _model_lines(model_id, endpoint)
    for pipeline in plan.pipelines:
        lines += _pipeline_lines(pipeline, 1)
    if plan.output_columns is not None:
        lines.append(f"  output columns: {', '.join(plan.output_columns)}")
    if plan.target is not None:
        lines.append(f"  target: {plan.target}")
    if plan.budget is not None:
        lines.append(f"  budget: {plan.budget}")
    return "\n".join(lines)


def _model_lines(model_id: str, endpoint: Endpoint) -> list[str]:
    """Say where a model is served: on one line, or with a line for each of several endpoints."""
    if not endpoint.endpoints:
        return [f"  model {model_id} → {endpoint.model} at {_place(endpoint)}"]
    places = [f"    {_place(one)}" for one in endpoint.places]
    return [f"  model {model_id} → {endpoint.model} at {len(places)} endpoint{'s' * (len(places) != 1)}", *places]


def _place(endpoint: Endpoint) -> str:
    where = "simulated, in this process" if endpoint.is_simulated and not endpoint.api_base else endpoint.shown_address
    limit = "".join(f", {most:,} {what}" for most, what in _limits(endpoint) if most)
    limit += f", limit '{endpoint.shared_limit}' shared with other runs" if endpoint.shared_limit else ""
    way = f"{endpoint.chosen_client}, in batches at half the price" if endpoint.in_batches else endpoint.chosen_client
    marks = ", marks what is cached" if mark_of(endpoint) is not None else ""
    return f"{where}, through {way}{marks}{limit}"


def _limits(endpoint: Endpoint) -> Iterator[tuple[int | None, str]]:
    yield endpoint.max_concurrency, "calls at once"
    yield endpoint.requests_per_minute, "calls a minute"
    yield endpoint.tokens_per_minute, "tokens in a minute"
    yield endpoint.output_tokens_per_minute, "tokens out a minute"


def _pipeline_lines(pipeline: PipelinePlan, depth: int) -> list[str]:
    pad = "  " * depth
    times = f"  × {pipeline.times}" if pipeline.times > 1 else ""
    lines = [f"{pad}pipeline {pipeline.name}{times}"]
    for node in pipeline.steps:
        lines += _node_lines(node, depth + 1)
    return lines


def _node_lines(node: Node, depth: int) -> list[str]:
    pad = "  " * depth
    if isinstance(node, PipelinePlan):
        return _pipeline_lines(node, depth)
    if isinstance(node, Repeat):
        unmet = f"; then {node.unmet.block.unmet}" if node.unmet is not None and isinstance(node.unmet.block, Unmet) else ""
        lines = [f"{pad}repeat {node.name}  up to {node.most} rounds until {node.until}{unmet}{_columns(node.join)}"]
        return lines + _pipeline_lines(node.body, depth + 1)
    if isinstance(node, Fork):
        assert isinstance(node.split.block, Split)
        rest = {"pass": "pass by", "reject": "are rejected", "filter": "are left out"}[node.split.block.rest]
        lines = [f"{pad}branches {node.name}  rows that no branch takes {rest}{_columns(node.join)}"]
        for condition, branch in zip(node.split.block.conditions, node.branches, strict=True):
            first, *others = _pipeline_lines(branch, depth + 1)
            lines += [f"{first}  {'all others' if condition == 'true' else f'when {condition}'}", *others]
        return lines
    return [_step_line(node, pad)]


def _step_line(step: Step, pad: str) -> str:
    facts = [step.block.type_name]
    facts += [f"model {model}" for model in step.models]
    facts += ["waits for all rows"] if step.scope == "all" else []
    facts += [f"× {step.times}"] if step.times > 1 else []
    facts += [f"when {step.when}"] if step.when else []
    return f"{pad}{step.name}  ({'; '.join(facts)}){_columns(step)}"


def _columns(step: Step) -> str:
    return f" → {', '.join(step.columns)}" if step.columns else ""
