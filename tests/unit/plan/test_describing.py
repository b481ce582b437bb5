"""A plan as a JSON object."""

from __future__ import annotations

import json
from pathlib import Path

from sdg_prefect import Block, block
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.plan.describing import describe
from sdg_prefect.report.described import steps_of
from tests.flows import ASK, PROMPT


@block("DescribedWithAKey")
class DescribedWithAKey(Block):
    """A block whose author lets people write keys."""

    service: dict[str, str]
    """What it calls."""


def test_a_plan_is_described_with_its_prompts_and_so_that_its_blocks_can_be_made_again(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(ASK)
    (tmp_path / "ask.yaml").write_text(PROMPT)
    plan = prepare(RunOptions(flow=str(tmp_path / "flow.yaml"), api_base="http://user:planted@127.0.0.1:1/v1")).plan
    told = json.loads(json.dumps(describe(plan)))
    (step,) = plan.steps()
    again = type(step.block).model_validate(steps_of(told)[step.label]["config"])
    assert again.key({}) == step.block.key({})
    assert steps_of(told)[step.label]["prompts"]
    assert "planted" not in json.dumps(told)


def test_no_key_is_described(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(
        "- block_type: DescribedWithAKey\n  block_config: {block_name: b, service: {url: here, api_key: planted}}\n"
    )
    told = json.dumps(describe(prepare(RunOptions(flow=str(tmp_path / "flow.yaml"))).plan))
    assert "here" in told
    assert "planted" not in told
