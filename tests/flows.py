"""Blocks of flows as they are written in YAML, for tests that need a flow and no particular one."""

from __future__ import annotations

from pathlib import Path

import yaml

ASK = """\
- block_type: LLMBlock
  block_config:
    block_name: ask
    config_path: ask.yaml
    model_id: teacher
    output_cols: [question]
"""
PROMPT = "system: You teach.\ngeneration: Ask about {{document}}.\nstart_tags: ['[Q]']\nend_tags: ['[/Q]']\n"
"""The prompt ``ask.yaml`` of that block."""


def copy(source: str, target: str, name: str = "copy") -> str:
    """Write a block that copies a column."""
    return f"- block_type: DuplicateColumns\n  block_config: {{block_name: {name}, columns_map: {{{source}: {target}}}}}\n"


def nested(name: str, file: str) -> str:
    """Write a block that is another flow."""
    return f"- block_type: PipelineBlock\n  block_config: {{block_name: {name}, flow: {file}}}\n"


def is_flow(path: Path) -> bool:
    """True for a file that holds a flow."""
    data = yaml.safe_load(path.read_text("utf-8")) if path.suffix == ".yaml" else None
    if isinstance(data, list):
        return "block_type" in data[0]
    return isinstance(data, dict) and bool({"blocks", "pipelines"} & set(data))
