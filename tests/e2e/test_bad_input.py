"""Whatever a careless user gives: one clear line for each mistake, before the first call, and nothing is touched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.errors import FlowError
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

ROOT = Path(__file__).parents[2]

PROMPT = """\
system: You are a teacher.
introduction: Read the document.
generation: |
  Document: {{document}}
  Ask a question.
start_tags: ["[Q]"]
end_tags: ["[/Q]"]
"""
ASK = """\
- block_type: LLMBlock
  block_config:
    block_name: ask
    config_path: ask.yaml
    model_id: teacher
    output_cols: [question]
"""
KEEP = """\
- block_type: FilterByValueBlock
  block_config:
    block_name: keep
    filter_column: question
    filter_value: x
    operation: operator.eq
"""
SEEDS = '{"document": "The sun is a star."}\n{"document": "Water is wet."}\n'
WRITABLE = "Rows are written to .jsonl, .ndjson, .json, .csv, .tsv (each also .gz), .parquet or an Arrow folder (end it in /)."
NOBODY = "which no block before writes and the seeds do not have."
ENDPOINT = "Name it under 'models:' in the flow or in a models.yaml beside it, or pass --api-base URL or --model NAME."
LLM_FIELDS = "batch_kwargs, block_name, config_path, gen_kwargs, model_id, model_prompt, output_cols, parser_kwargs."
OPERATIONS = "operator.contains, operator.eq, operator.ge, operator.gt, operator.le, operator.lt, operator.ne."
ROOT_KEYS = "blocks, description, inputs, max_reject_rate, metadata, models, name, output_columns, parameters, pipelines."
JSON_LINES = 'Write one JSON object on each line, such as {"question": "Why?"}.'
DOCUMENT = "{{document}}"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(9 * [f'*{old}'])}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@dataclass(frozen=True)
class Case:
    """What a user gives, and what they are told."""

    name: str
    lines: tuple[str, ...]
    """The lines, each whole or the telling part of it."""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    """Files that differ from those of a sound flow; None for one that is not there."""
    options: Mapping[str, Any] = field(default_factory=dict)


def flow(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"flow.yaml": text})


def prompt(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"ask.yaml": text})


def template(name: str, text: str, *lines: str) -> Case:
    return prompt(name, PROMPT.replace(DOCUMENT, text), *lines)


def models(name: str, text: str | bytes, *lines: str) -> Case:
    return Case(name, lines, {"models.yaml": text})


def given(name: str, line: str, **options: Any) -> Case:
    return Case(name, (line,), options=options)


MISSPELT = [
    flow("unknown block", ASK.replace("LLMBlock", "LMBlock"),
         "flow.yaml:1  unknown block type 'LMBlock'. Did you mean 'LLMBlock'?"),
    flow("a block unlike any", ASK.replace("LLMBlock", "Zzzz"),
         "flow.yaml:1  unknown block type 'Zzzz'. 'python -m sdg_prefect blocks' lists them."),
    flow("a key of the root", f"nmae: x\nblocks:\n{ASK}", "flow.yaml:1  unknown key 'nmae' of a flow. Did you mean 'name'?"),
    flow("'blocks' itself", f"name: x\nblock:\n{ASK}", "flow.yaml:2  unknown key 'block' of a flow. Did you mean 'blocks'?"),
    flow("keys that are no words", f"1: x\nnull: y\nblocks:\n{ASK}",
         f"flow.yaml:1  unknown key '1' of a flow. Known: {ROOT_KEYS}", f"flow.yaml:2  unknown key 'None' of a flow. Known: {ROOT_KEYS}"),
    flow("a key of a pipeline", "pipelines:\n- nam: x\n  flow: b.yaml\n",
         "flow.yaml:2  unknown key 'nam' of a pipeline. Did you mean 'name'?",
         "flow.yaml:3  the file 'b.yaml' does not exist."),
    flow("'blocks' of a pipeline", "pipelines:\n- name: x\n  block: []\n",
         "flow.yaml:3  unknown key 'block' of a pipeline. Did you mean 'blocks'?"),
    flow("a key of an item", f"{ASK}  drop_colums: [document]\n",
         "flow.yaml:7  unknown key 'drop_colums' of a block. Did you mean 'drop_columns'?"),
    flow("'block_type'", ASK.replace("block_type", "block_tpye"),
         "flow.yaml:1  unknown key 'block_tpye' of a block. Did you mean 'block_type'?"),
    flow("'block_config'", ASK.replace("block_config", "block_confg"),
         "flow.yaml:2  unknown key 'block_confg' of a block. Did you mean 'block_config'?"),
    flow("a field of a block", ASK.replace("config_path:", "config_paht:"),
         "flow.yaml:4  block 'ask': unknown field 'config_paht'. Did you mean 'config_path'?"),
    flow("a field unlike any", f"{ASK}    colour: red\n", f"flow.yaml:7  block 'ask': unknown field 'colour'. Known: {LLM_FIELDS}"),
    flow("a sampling parameter in the wrong place", f"{ASK}    temperature: 1\n",
         "flow.yaml:7  block 'ask': unknown field 'temperature'. 'temperature' stands under 'gen_kwargs', beside 'block_config'."),
    flow("a key of the item in the wrong place", f"{ASK}    drop_columns: [document]\n",
         "flow.yaml:7  block 'ask': unknown field 'drop_columns'. 'drop_columns' stands beside 'block_config', not in it."),
    flow("a sampling parameter", f"{ASK}  gen_kwargs: {{temprature: 1}}\n",
         "unknown sampling parameter 'temprature'. Did you mean 'temperature'?"),
    flow("a field in a field", f"{ASK}    parser_kwargs: {{parser_nam: custom}}\n",
         "flow.yaml:7  block 'ask': unknown field 'parser_kwargs.parser_nam'. Did you mean 'parser_name'?"),
    flow("a key of inputs", f"inputs: {{required_column: [document]}}\nblocks:\n{ASK}",
         "flow.yaml:1  'inputs': unknown key 'required_column'. Did you mean 'required_columns'?"),
    models("a key of a model", "teacher:\n  modle: x\n", "models.yaml:2  model 'teacher': unknown key 'modle'. Did you mean 'model'?"),
    models("another key of a model", "teacher:\n  model: x\n  api_bse: y\n",
           "models.yaml:3  model 'teacher': unknown key 'api_bse'. Did you mean 'api_base'?"),
    prompt("a section of a prompt", PROMPT.replace("generation", "generatoin"),
           "ask.yaml:3  unknown key 'generatoin' in the prompt. Did you mean 'generation'?"),
    prompt("the tags of a prompt", PROMPT.replace("start_tags", "start_tag"),
           "ask.yaml:6  unknown key 'start_tag' in the prompt. Did you mean 'start_tags'?"),
]  # fmt: skip

FILES = [
    given("no flow", "the flow file 'flwo.yaml' does not exist. Did you mean 'flow.yaml'?", flow="flwo.yaml"),
    given("no folder", "the flow file 'nowhere/flow.yaml' does not exist.", flow="nowhere/flow.yaml"),
    Case("a folder with a flow", ("'a' is a folder, not a flow file. Did you mean 'a/flow.yaml'?",), {"a/flow.yaml": ASK}, {"flow": "a"}),
    Case("a folder", ("'a' is a folder, not a flow file. Name the flow file in it.",), {"a/x": ""}, {"flow": "a"}),
    given("a prompt as a flow", "ask.yaml:1  this is a prompt file, not a flow. Name the flow whose block uses it.", flow="ask.yaml"),
    flow("binary", bytes(range(256)), "flow.yaml:1  not text: it holds the control character '\\x00'. Remove it.")
    if False
    else flow("binary", b"\x00\x01\x02", "flow.yaml:1  not text: it holds the control character '\\x00'. Remove it."),
    flow("not UTF-8", b"# one\nname: caf\xe9\n", "flow.yaml:2  not UTF-8 text. Save the file as UTF-8."),
    flow("UTF-16", ASK.encode("utf-16"), "flow.yaml:1  not UTF-8 text. Save the file as UTF-8."),
    flow("empty", "", "flow.yaml:1  the file is empty; a flow is a list of blocks, or a mapping with 'blocks' or 'pipelines'."),
    flow("only a comment", "# to do\n", "flow.yaml:1  the file is empty; a flow is a list of blocks,"),
    flow("a text", "hello\n", "flow.yaml:1  a flow is a list of blocks, or a mapping with 'blocks' or 'pipelines'."),
    flow("no blocks", "name: x\n", "flow.yaml:1  a flow has 'blocks' or 'pipelines', and this has neither."),
    flow("both", f"blocks:\n{ASK}pipelines: []\n",
         "flow.yaml:8  a flow has 'blocks' or 'pipelines', not both.",
         "flow.yaml:8  'pipelines' has to be a list with at least one pipeline."),
    flow("an empty list", "[]\n", "flow.yaml:1  a pipeline needs a list of at least one block."),
    flow("empty blocks", "blocks:\n", "flow.yaml:1  a pipeline needs a list of at least one block."),
    flow("a cycle of one", "pipelines:\n- flow: flow.yaml\n",
         "flow.yaml:2  pipelines go in a circle: flow.yaml → flow.yaml. A flow cannot include itself."),
    Case("a cycle of two", ("b.yaml:2  pipelines go in a circle: flow.yaml → b.yaml → flow.yaml. A flow cannot include itself.",),
         {"flow.yaml": "pipelines:\n- flow: b.yaml\n",
          "b.yaml": "- block_type: PipelineBlock\n  block_config: {block_name: x, flow: flow.yaml}\n"}),
    flow("a cycle through a repetition",
         "- block_type: IterBlock\n  block_config:\n    block_name: x\n    num_iters: 2\n    block_type: PipelineBlock\n"
         "    block_kwargs:\n      flow: flow.yaml\n",
         "flow.yaml:7  pipelines go in a circle: flow.yaml → flow.yaml. A flow cannot include itself."),
    given("no models file", "the models file 'modles.yaml' does not exist. Did you mean 'models.yaml'?", models_file="modles.yaml"),
    models("models that are not UTF-8", b"teacher: caf\xe9\n", "models.yaml:1  not UTF-8 text. Save the file as UTF-8."),
    flow("no prompt", ASK.replace("ask.yaml", "aks.yaml"), "flow.yaml:4  ", )
    if False
    else flow("no prompt", ASK.replace("ask.yaml", "aks.yaml"),
              "flow.yaml:4  block 'ask': config_path: the file 'aks.yaml' does not exist. Did you mean 'ask.yaml'?"),
    flow("no folder of prompts", ASK.replace("ask.yaml", "prompts/ask.yaml"),
         "flow.yaml:4  block 'ask': config_path: the file 'prompts/ask.yaml' does not exist."),
    prompt("an empty prompt", "", "ask.yaml:1  a prompt file is a mapping of sections or a list of messages."),
    prompt("a prompt that is not UTF-8", PROMPT.replace("teacher", "caf\xe9").encode("latin-1"), "ask.yaml"),
    prompt("a prompt that is not YAML", "system: [\n", "ask.yaml:2  not valid YAML:"),
    prompt("types in a prompt", "system: [a]\ngeneration: 3\nstart_tags: x\nend_tags: {a: 1}\nnum_samples: lots\n",
           "ask.yaml:1  section 'system' has to be text", "ask.yaml:2  section 'generation' has to be text",
           "ask.yaml:3  'start_tags' has to be a list of texts.", "ask.yaml:4  'end_tags' has to be a list of texts.",
           "ask.yaml:5  'num_samples' has to be a whole number."),
]  # fmt: skip
