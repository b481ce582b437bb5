"""Compares the flows that come with sdg_hub 0.9.4: its rows and ours, for the same seeds and the same replies.

The flows are those of an installed package, in a throwaway environment; none of them is in this repository:

    python3.11 -m venv /tmp/oracle09 && /tmp/oracle09/bin/pip install 'sdg-hub[code]==0.9.4' pydantic-monty==0.0.10
    .venv/bin/python -m tests.oracle.shipped_flows /tmp/oracle09/bin/python             # some minutes
    .venv/bin/python -m tests.oracle.shipped_flows /tmp/oracle09/bin/python key_facts   # only flows with this in their path

Every flow has to load. Replies come from the simulated model, which says the same to the same prompt whoever asks; where a flow wants a
form that it does not know, they are scripted, as are those of the agent, a small server that speaks as Langflow does. Not compared are
ids that either side makes up, times that it took, keys of objects that hold nothing, and the order of rows that a flow shuffles. Where
no row is left, sdg_hub stops and we give none. It needs the release of pydantic-monty that is named: with today's it fails all code.
Exits 1 if a flow does not load or a row differs.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdg_prefect import FlowError, generate
from sdg_prefect.blocks.agents import AgentBlock
from sdg_prefect.blocks.drawing import RowMultiplierBlock
from sdg_prefect.blocks.filters import ColumnValueFilterBlock
from sdg_prefect.blocks.prompt_builder import PromptBuilderBlock
from sdg_prefect.blocks.tags import TagParserBlock
from sdg_prefect.errors import RejectedRows
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns
from tests.services import langflow, serve

UPSTREAM = Path(__file__).parent / "upstream_09.py"
OF_A_RUN = ("id", "tool_call_id", "session_id", "execution_time_ms")
"""Keys of values that no two runs have in common."""
CODE = {
    "function_code": "def double(number):\n    return number + number",
    "test_code": "assert double(2) == 4\nprint(double(3))\ndouble(4)",
    "input_generator": "list(range(9))",
}
"""What the columns of code hold; one test of the seeds fails."""
TEXTS = (
    "Cork floats because its cells are filled with air. Oaks give it every nine years.",
    "Iron rusts where water and air meet it. Paint keeps both away for some years.",
    "Wax melts at sixty degrees. Bees make it from sugar and build their combs of it.",
)


FACTS = "### Key Facts With Context\n1. {0}.\n2. {1}"
"""What the flows of key facts want to hear about a document."""


def find_flows(python: str) -> list[Path]:
    """Finds the flow files of the sdg_hub that a Python has installed."""
    asked = "import importlib.util as u; print(u.find_spec('sdg_hub').submodule_search_locations[0])"
    package = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    return sorted(Path(package, "flows").rglob("flow.yaml"))


def make_seeds(flow: FlowSpec) -> list[dict[str, Any]]:
    """Makes seeds with the columns that a flow needs; a pool to draw from has one value, so that nothing depends on chance."""
    wanted = [
        *track_columns(flow, None).seeds,
        *(flow.inputs.required_columns + flow.inputs.optional_columns if flow.inputs else ()),
    ]
    return [
        {
            name: text if name == "document" else [f"{name} {place}"] if name.endswith(("_pool", "_list")) else f"{name} {place}"
            for name in dict.fromkeys(wanted)
        }
        for place, text in enumerate(TEXTS)
    ]


def script(flow: Path, spec: FlowSpec, folder: Path) -> Path:
    """Writes the replies that a flow needs and the simulated model would not think of: facts, and what lets rows pass a filter."""
    replies = [(text, FACTS.format(*text.split(". "))) for text in TEXTS] if flow.parent.name == "key_facts" else [*tagged(spec)]
    file = folder / "replies.jsonl"
    lines = [json.dumps({"match": match, "reply": reply}, ensure_ascii=False) + "\n" for match, reply in replies]
    file.write_text("".join(lines), "utf-8")
    return file


def tagged(spec: FlowSpec) -> Iterator[tuple[str | list[str], str]]:
    """Gives for each prompt whose reply is filtered by tags its longest line, and a reply that passes; without filters for all."""
    blocks = [block for _, block in spec.blocks()]
    wanted = {block.input_cols[0]: block.filter_value for block in blocks if isinstance(block, ColumnValueFilterBlock)}
    asks_agents = any(isinstance(block, AgentBlock) for block in blocks)
    prompt: PromptBuilderBlock | None = None
    replies: dict[str, str] = {}
    for block in blocks:
        if isinstance(block, PromptBuilderBlock):
            prompt = block
        elif isinstance(block, TagParserBlock) and prompt is not None and (asks_agents or _is_scripted(block, wanted)):
            lines = [line.strip() for message in prompt.prompt_config_path.messages for line in message.content.splitlines()]
            said = [wanted.get(column, CODE.get(column, "so it is")) for column in block.output_cols]
            values = [value[-1] if isinstance(value, list) else value for value in said]
            parts = zip(block.start_tags, values, block.end_tags, strict=True)
            line = max((line for line in lines if "{" not in line), key=len)
            replies[line] = replies.get(line, "") + "".join(f"{a}{b}{c}" for a, b, c in parts)
    for line, reply in replies.items():
        if CODE["test_code"] in reply:
            yield [line, "domain 2"], reply.replace("== 4", "== 5")
        yield line, reply


def _is_scripted(block: TagParserBlock, wanted: dict[str, Any]) -> bool:
    return not wanted or bool((wanted.keys() | CODE.keys()) & set(block.output_cols))


def answer(path: str, body: Any) -> Any:
    """Answers as an agent behind Langflow that has looked at a tool."""
    said = langflow(path, body)
    message = said["outputs"][0]["outputs"][0]["results"]["message"]
    message["text"] = f"<server_understanding>{len(body['input_value'])} letters</server_understanding>"
    return said


def compared(rows: list[dict[str, Any]], spec: FlowSpec) -> list[Any]:
    """Leaves out what is of one run only; rows that the flow shuffles are sorted."""
    plain = [{name: _without_ids(value) for name, value in row.items()} for row in rows]
    is_shuffled = any(isinstance(block, RowMultiplierBlock) and block.shuffle for _, block in spec.blocks())
    return sorted(plain, key=json.dumps) if is_shuffled else plain


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_ids(part) for name, part in value.items() if part is not None and name not in OF_A_RUN}
        for name in ("return_value", "arguments"):
            kept |= {name: _as_json(kept[name])} if name in kept else {}
        return kept
    return [_without_ids(part) for part in value] if isinstance(value, list) else value


def ours(
    flow: Path, spec: FlowSpec, seeds: list[dict[str, Any]], addresses: tuple[str, str], store: Path
) -> list[dict[str, Any]]:
    """Runs a flow here."""
    api_base, agent = addresses
    agents = [f"{block.block_name}.agent_url={agent}" for _, block in spec.blocks() if isinstance(block, AgentBlock)]
    try:
        made = generate(flow, seeds, api_base=api_base, overrides=agents, storage=store)
    except RejectedRows as error:
        made = error.dataset
    rows: list[dict[str, Any]] = made.to_list()
    return rows


def theirs(
    python: str, flow: Path, seeds: list[dict[str, Any]], addresses: tuple[str, str], folder: Path
) -> list[dict[str, Any]] | str:
    """Runs a flow with sdg_hub; where it fails, returns the last line that it says."""
    file = folder / "seeds.jsonl"
    file.write_text("".join(json.dumps(seed) + "\n" for seed in seeds), "utf-8")
    ran = subprocess.run([python, str(UPSTREAM), str(flow), str(file), *addresses], check=False, capture_output=True, text=True)
    if "EmptyDatasetError" in ran.stderr:
        return []
    if ran.returncode:
        return ran.stderr.strip().rsplit("\n", 1)[-1]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def compare(python: str, flow: Path, spec: FlowSpec, folder: Path) -> tuple[str, bool]:
    """Runs a flow on both sides, and says what came out and whether it is the same."""
    seeds = make_seeds(spec)
    with SimulatedModel(SimulatorSettings(replies=script(flow, spec, folder))) as model, serve(answer) as agent:
        addresses = model.url, f"{agent.url}/api/v1/run/mine"
        here = ours(flow, spec, seeds, addresses, folder / "store")
        there = theirs(python, flow, seeds, addresses, folder)
    if isinstance(there, str):
        return f"{len(here)} rows here; sdg_hub failed: {there}", False
    return f"{len(there)} rows there, {len(here)} rows here", compared(here, spec) == compared(there, spec)


def _as_json(value: Any) -> str:
    """Writes a value, or one that is JSON already, in one way: sdg_hub escapes letters of arguments, which stay as they are here."""
    with contextlib.suppress(TypeError, ValueError):
        value = json.loads(value)
    return json.dumps(value)


def report(python: str, wanted: str) -> Iterator[bool]:
    """Prints a line for each flow, and gives whether it is as it should be."""
    for flow in find_flows(python):
        if wanted and wanted not in str(flow):
            continue
        name = str(flow.parent).rpartition("/flows/")[2]
        try:
            spec = read_flow(flow)
        except FlowError as error:
            print(f"{name}: does not load: {error}")
            yield False
            continue
        with tempfile.TemporaryDirectory() as folder:
            said, is_same = compare(python, flow, spec, Path(folder))
        print(f"{name}: {said}: {'the same' if is_same else 'DIFFERENT'}", flush=True)
        yield is_same


if __name__ == "__main__":
    sys.exit(0 if all([*report(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")]) else 1)
