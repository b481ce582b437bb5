"""Runs a flow file through sdg_hub 0.9.4, in whose environment this is started.

python tests/oracle/upstream_09.py FLOW SEEDS API_BASE AGENT    # writes its rows as JSON lines to stdout
"""

import contextlib
import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

REPLY = ("role", "content", "reasoning_content", "tool_calls")
"""What a reply says to whoever reads it; litellm adds what is empty or its own."""


def run_flow(flow_file: Path, seeds: list[dict[str, Any]], api_base: str, agent: str = "") -> list[dict[str, Any]]:
    """Runs a flow as users of sdg_hub do, every model served at one address and every agent at another, and gives its rows."""
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR", LOG_LEVEL="CRITICAL")
    pandas = importlib.import_module("pandas")
    flow_class = importlib.import_module("sdg_hub.core.flow").Flow
    with tempfile.TemporaryDirectory() as folder:
        # sdg_hub writes into the flow files that it reads.
        shutil.copytree(flow_file.parent, folder, dirs_exist_ok=True)
        flow = flow_class.from_yaml(str(Path(folder) / flow_file.name))
        if any(block.block_type == "llm" for block in flow.blocks):
            flow.set_model_config(model="openai/stub", api_base=api_base, api_key="none")
        if any(block.block_type == "agent" for block in flow.blocks):
            flow.set_agent_config(agent_framework="langflow", agent_url=agent)
        made = flow.generate(pandas.DataFrame(seeds))
    return [{name: plain(value) for name, value in row.items()} for row in made.to_dict("records")]


def plain(value: Any) -> Any:
    """Gives a value as JSON has it: what pandas puts where nothing is becomes null, and replies lose what is litellm's."""
    if isinstance(value, dict):
        names = REPLY if "provider_specific_fields" in value or "function_call" in value else tuple(value)
        return {name: plain(value.get(name)) for name in names}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and value != value else value


if __name__ == "__main__":
    flow_path, seeds_path, address, agent_address = sys.argv[1:]
    lines = Path(seeds_path).read_text(encoding="utf-8").splitlines()
    with contextlib.redirect_stdout(sys.stderr):
        rows = run_flow(Path(flow_path), [json.loads(line) for line in lines], address, agent_address)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False, allow_nan=False))
