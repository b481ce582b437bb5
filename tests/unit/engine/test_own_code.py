"""Blocks from a file are at hand in a process that does not have the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.runners.own_code import OwnModule, load_own_code, own_code
from sdg_prefect.errors import FlowError
from tests.flows import copy

BLOCKS = '''\
from sdg_prefect import Block, block

@block("{name}")
class Shout(Block):
    """Write a column in capitals."""

    column: str

    def run(self, rows, context):
        return rows.map(lambda row: {{self.column: row[self.column].upper()}})

@block("{name}Old")
class OldShout:
    """The same in the style of sdg_hub."""

    def __init__(self, block_name, column):
        self.column = column

    def generate(self, samples):
        return samples.map(lambda row: {{self.column: row[self.column].upper()}})
'''
FLOW = """\
- block_type: {name}
  block_config: {{block_name: shout, column: b}}
- block_type: {name}Old
  block_config: {{block_name: again, column: b}}
"""
ELSEWHERE = """\
import sys, cloudpickle
from sdg_prefect.engine.runners.own_code import load_own_code
from sdg_prefect.testing import run_block
own, packed = cloudpickle.loads(sys.stdin.buffer.read())
load_own_code(own)
load_own_code(own)  # as for the next shard
for block in cloudpickle.loads(packed):
    print(run_block(block, [{"b": "quiet"}]).rows)
"""


def test_blocks_of_a_file_work_where_the_file_is_not(tmp_path: Path) -> None:
    file = tmp_path / "loud_blocks.py"
    file.write_text(BLOCKS.format(name="Loud"))
    load_own_blocks([str(file)])
    flow = tmp_path / "flow.yaml"
    flow.write_text(copy("a", "b") + FLOW.format(name="Loud"))
    plan = prepare(RunOptions(flow=flow)).plan
    own = own_code(plan)
    assert [module.name for module in own] == ["sdg_own_loud_blocks"]
    blocks = [step.block for step in plan.steps() if step.block.type_name.startswith("Loud")]
    file.unlink()
    sent = cloudpickle.dumps((own, cloudpickle.dumps(blocks)))
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], input=sent, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().count("'QUIET'") == 2


def test_a_flow_without_own_blocks_sends_no_code(tmp_path: Path) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(copy("a", "b"))
    assert own_code(prepare(RunOptions(flow=flow)).plan) == ()


def test_a_block_of_sdg_hub_in_the_script_itself_is_refused_before_it_goes_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "script_blocks.py"
    file.write_text(BLOCKS.format(name="Script"))
    load_own_blocks([str(file)])
    flow = tmp_path / "flow.yaml"
    flow.write_text(copy("a", "b") + FLOW.format(name="Script"))
    plan = prepare(RunOptions(flow=flow)).plan
    monkeypatch.setattr(type(plan.steps()[-1].block), "__module__", "__main__")
    with pytest.raises(FlowError, match=r"'ScriptOld' is in the script that runs.*Put it into a file"):
        own_code(plan)


def test_code_that_fails_leaves_no_half_of_a_module(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = OwnModule("sdg_own_broken", "broken.py", "half = 1\nimport nowhere_to_be_found\n")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        load_own_code([broken])
    assert "sdg_own_broken" not in sys.modules


def test_edited_code_takes_the_place_of_what_was_there() -> None:
    for text in ("one", "two"):
        load_own_code([OwnModule("sdg_own_edited", "edited.py", f"value = '{text}'\n")])
        assert sys.modules["sdg_own_edited"].value == text
    del sys.modules["sdg_own_edited"]
