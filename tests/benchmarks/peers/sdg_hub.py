"""The task with sdg_hub: a flow of prompt, chat and extractor blocks, asynchronous, with a limit on calls at once."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from sdg_hub import Flow

from tests.benchmarks.peers.arguments import MODEL, Task, columns_of, read_task


def blocks_of(task: Task) -> list[dict[str, Any]]:
    """Return the blocks of the flow, with their prompt files written."""
    blocks: list[dict[str, Any]] = []
    for number, (prompt, template) in enumerate(zip(task.prompts, task.templates, strict=True), start=1):
        # JSON is YAML.
        (task.folder / f"ask_{number}.yaml").write_text(json.dumps([{"role": "user", "content": template}]), encoding="utf-8")
        build = {
            "block_name": f"build_{number}",
            "input_cols": {f"{name}_content" if name.startswith("reply_") else name: name for name in columns_of(prompt)},
            "output_cols": f"messages_{number}",
            "prompt_config_path": f"ask_{number}.yaml",
        }
        ask = {
            "block_name": f"ask_{number}",
            "input_cols": f"messages_{number}",
            "output_cols": f"raw_{number}",
            "async_mode": True,
        }
        take = {"block_name": f"take_{number}", "input_cols": f"raw_{number}", "field_prefix": f"reply_{number}_"}
        blocks += [
            {"block_type": "PromptBuilderBlock", "block_config": build},
            {"block_type": "LLMChatBlock", "block_config": ask},
            {"block_type": "LLMResponseExtractorBlock", "block_config": take},
        ]
    return blocks


if __name__ == "__main__":
    told = read_task()
    path = told.folder / "flow.yaml"
    path.write_text(json.dumps({"metadata": {"name": "chain"}, "blocks": blocks_of(told)}), encoding="utf-8")
    flow = Flow.from_yaml(str(path))
    flow.set_model_config(model=f"openai/{MODEL}", api_base=told.url, api_key="none")
    made = flow.generate(pd.DataFrame(told.rows), max_concurrency=told.concurrency)
    told.write(made.to_dict("records"), last=f"reply_{len(told.prompts)}_content")
