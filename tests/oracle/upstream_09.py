"""Runs flow files through sdg_hub 0.9.4, in whose environment this is started.

python tests/oracle/upstream_09.py FLOW SEEDS API_BASE AGENT    # writes its rows as JSON lines to stdout
python tests/oracle/upstream_09.py < CASES                      # writes for each line of cases what came of it; see run_case
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


def load_flow(flow_file: Path, api_base: str, agent: str = "") -> Any:
    """Loads a flow as users of sdg_hub do; models that a block does not place itself are served at one address, agents at another."""
    flow = importlib.import_module("sdg_hub.core.flow").Flow.from_yaml(str(flow_file))
    models = [block for block in flow.blocks if block.block_type == "llm"]
    if models:
        # Without this call nothing runs, whatever the file says.
        flow.set_model_config(api_key="none")
    if unplaced := [block.block_name for block in models if not block.api_base]:
        flow.set_model_config(model="openai/stub", api_base=api_base, blocks=unplaced)
    if any(block.block_type == "agent" for block in flow.blocks):
        if agent:
            flow.set_agent_config(agent_framework="langflow", agent_url=agent)
        # Nothing runs without that call either, also where the file says where its agents are.
        flow._agent_config_set = True
    return flow


def run_flow(flow_file: Path, seeds: list[dict[str, Any]], api_base: str, agent: str = "") -> list[dict[str, Any]]:
    """Runs a flow and gives its rows."""
    be_quiet()
    pandas = importlib.import_module("pandas")
    with tempfile.TemporaryDirectory() as folder:
        # sdg_hub writes into the flow files that it reads.
        shutil.copytree(flow_file.parent, folder, dirs_exist_ok=True)
        made = load_flow(Path(folder) / flow_file.name, api_base, agent).generate(pandas.DataFrame(seeds))
    return rows_of(made)


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Runs a case: a flow file whose folder may be written to, seeds, where models are, and values set at run time.

    Gives its `rows`, or the `error` that it raised.
    """
    pandas = importlib.import_module("pandas")
    try:
        flow = load_flow(Path(case["flow"]), case["api_base"])
        if case.get("dry_run"):
            said = flow.dry_run(pandas.DataFrame(case["seeds"]), sample_size=case["dry_run"], runtime_params=case.get("set"))
            return {"rows": rows_of(pandas.DataFrame(said["final_dataset"]["sample_data"]))}
        return {"rows": rows_of(flow.generate(pandas.DataFrame(case["seeds"]), runtime_params=case.get("set")))}
    except Exception as error:  # what it raises is the fact under test, whatever its class
        if type(error).__name__ == "EmptyDatasetError":
            return {"rows": []}
        return {"error": f"{type(error.__cause__ or error).__name__}: {error}"}


def be_quiet() -> None:
    """Keeps sdg_hub and what it brings from talking, and from looking for things outside."""
    os.environ.update(LITELLM_LOCAL_MODEL_COST_MAP="True", LITELLM_LOG="ERROR", LOG_LEVEL="CRITICAL", TQDM_DISABLE="1")


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """Gives the rows of a frame."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """Gives a value as JSON has it: what pandas puts where nothing is becomes null, and replies lose what is litellm's."""
    if isinstance(value, dict):
        names = REPLY if "provider_specific_fields" in value or "function_call" in value else tuple(value)
        return {name: plain(value.get(name)) for name in names}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for convert in ("tolist", "model_dump"):
        if hasattr(value, convert):
            return plain(getattr(value, convert)())
    return None if isinstance(value, float) and value != value else value


def main() -> None:
    """Does what the first lines say."""
    if len(sys.argv) == 1:
        be_quiet()
        for line in sys.stdin:
            with contextlib.redirect_stdout(sys.stderr):
                said = run_case(json.loads(line))
            print(json.dumps(said, ensure_ascii=False, default=str), flush=True)
        return
    flow_path, seeds_path, address, agent_address = sys.argv[1:]
    lines = Path(seeds_path).read_text(encoding="utf-8").splitlines()
    with contextlib.redirect_stdout(sys.stderr):
        rows = run_flow(Path(flow_path), [json.loads(line) for line in lines], address, agent_address)
    for row in rows:
        print(json.dumps(row, ensure_ascii=False, allow_nan=False))


if __name__ == "__main__":
    main()
