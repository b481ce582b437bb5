"""A plan as a JSON object: what a run did, word by word, long after its flow file was changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdg_prefect.blocks.lanes import Split
from sdg_prefect.frozen import digest
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Plan, Repeat, Step
from sdg_prefect.spec.wording import is_secret

_HIDDEN = "hidden"


def describe(plan: Plan) -> dict[str, Any]:
    """Describe a plan: ``{name, file, key, models, pipelines, expect, output_columns, ...}``.

    A pipeline is ``{pipeline, times, steps}``, branches are ``{branches, split, ways: [{pipeline, when, ...}], rest, join}``, a
    repetition is ``{repeat, until, most, body, split, unmet, join}``. A step has the fields of its block with the texts of its
    prompts, so that the block can be made again from it.
    """
    return {
        "name": plan.name,
        "file": plan.file,
        "about": dict(plan.about),
        "key": digest([step.key for step in plan.steps()], plan.output_columns, size=10),
        "models": {model_id: _model(endpoint) for model_id, endpoint in sorted(plan.endpoints.items())},
        "pipelines": [_pipeline(pipeline) for pipeline in plan.pipelines],
        "expect": plan.expect.model_dump(mode="json", exclude_defaults=True),
        "parameters": dict(plan.parameters),
        "output_columns": None if plan.output_columns is None else list(plan.output_columns),
    }


def _pipeline(pipeline: PipelinePlan) -> dict[str, Any]:
    return {"pipeline": pipeline.name, "times": pipeline.times, "steps": [_node(node) for node in pipeline.steps]}


def _node(node: Node) -> dict[str, Any]:
    if isinstance(node, PipelinePlan):
        return _pipeline(node)
    if isinstance(node, Fork):
        assert isinstance(node.split.block, Split)
        pairs = zip(node.split.block.conditions, node.branches, strict=True)
        ways = [{**_pipeline(branch), "when": condition} for condition, branch in pairs]
        rest = node.split.block.rest
        return {"branches": node.name, "split": _step(node.split), "ways": ways, "rest": rest, "join": _step(node.join)}
    if isinstance(node, Repeat):
        unmet = None if node.unmet is None else _step(node.unmet)
        told = {"repeat": node.name, "until": node.until, "most": node.most, "body": _pipeline(node.body)}
        return {**told, "split": _step(node.split), "unmet": unmet, "join": _step(node.join)}
    return _step(node)


def _step(step: Step) -> dict[str, Any]:
    block = step.block
    return {
        "name": step.name,
        "label": step.label,
        "type": block.type_name,
        "version": type(block).version,
        "source": block.source_key(),
        "key": step.key,
        "ledger_key": step.ledger_key,
        "scope": step.scope,
        "times": step.times,
        "when": step.when,
        "models": list(step.models),
        "leaves_out": block.leaves_out,
        "drop_columns": list(step.drop_columns),
        "keep_columns": None if step.keep_columns is None else list(step.keep_columns),
        "columns": list(step.columns),
        "expect": step.expect.model_dump(mode="json", exclude_defaults=True),
        "config": _without_secrets(block.model_dump(mode="json")),
        "prompts": _prompts(block.model_dump(mode="json")),
    }


def _without_secrets(value: Any) -> Any:
    """Blank what stands under a name that people give to keys. No file may have one; a block of one's own may."""
    if isinstance(value, dict):
        return {name: _HIDDEN if item and is_secret(name) else _without_secrets(item) for name, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value


def _prompts(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of the prompts in a block's fields, by the names of the fields."""
    return {name: digest(value, size=8) for name, value in config.items() if _has_messages(value)}


def _has_messages(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (isinstance(value, dict) and "messages" in value) or any(_has_messages(one) for one in inner)


def _model(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "model": endpoint.model,
        "identity": endpoint.identity,
        "client": endpoint.chosen_client,
        "addresses": ["simulated, in the process of the run"]
        if endpoint.is_simulated and not endpoint.api_base
        else [place.shown_address for place in endpoint.places],
        "is_simulated": endpoint.is_simulated,
        "mode": endpoint.mode,
        "params": dict(endpoint.params),
        "price": None if endpoint.price is None else endpoint.price.model_dump(),
    }
