"""Compares the flows that come with sdg_hub 0.9.4: its rows and ours, for the same seeds and the same replies.

The flows are those of an installed package, in a throwaway environment; none of them is in this repository:

    python3.11 -m venv /tmp/oracle09 && /tmp/oracle09/bin/pip install sdg-hub==0.9.4
    .venv/bin/python tests/oracle/shipped_flows.py /tmp/oracle09/bin/python

Every flow has to load. Those that need an agent or a sandbox are not run. Replies come from the simulated model, which says the same
to the same prompt whoever asks. Exits 1 if a flow does not load or a row differs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdg_prefect import FlowError, generate
from sdg_prefect.errors import RejectedRows
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns

UPSTREAM = Path(__file__).parent / "upstream_09.py"
NEEDS_MORE = {"AgentBlock", "MCPAgentBlock", "PythonInterpreterBlock"}
TEXTS = (
    "Cork floats because its cells are filled with air. Oaks give it every nine years.",
    "Iron rusts where water and air meet it. Paint keeps both away for some years.",
    "Wax melts at sixty degrees. Bees make it from sugar and build their combs of it.",
)


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
        {name: [f"{name} {place}"] if name.endswith("_pool") else f"{name}: {text}" for name in dict.fromkeys(wanted)}
        for place, text in enumerate(TEXTS)
    ]


def ours(flow: Path, seeds: list[dict[str, Any]], api_base: str, store: Path) -> list[dict[str, Any]]:
    """Runs a flow here."""
    try:
        made = generate(flow, seeds, api_base=api_base, storage=store)
    except RejectedRows as error:
        made = error.dataset
    rows: list[dict[str, Any]] = made.to_list()
    return rows


def theirs(python: str, flow: Path, seeds: list[dict[str, Any]], api_base: str, folder: Path) -> list[dict[str, Any]] | str:
    """Runs a flow with sdg_hub; where it fails, returns the last line that it says."""
    file = folder / "seeds.jsonl"
    file.write_text("".join(json.dumps(seed) + "\n" for seed in seeds), "utf-8")
    ran = subprocess.run([python, str(UPSTREAM), str(flow), str(file), api_base], check=False, capture_output=True, text=True)
    if ran.returncode:
        return ran.stderr.strip().rsplit("\n", 1)[-1]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def compare(python: str, flow: Path, spec: FlowSpec, folder: Path) -> tuple[str, bool]:
    """Runs a flow on both sides, and says what came out and whether it is the same."""
    seeds = make_seeds(spec)
    with SimulatedModel(SimulatorSettings()) as model:
        here = ours(flow, seeds, model.url, folder / "store")
        there = theirs(python, flow, seeds, model.url, folder)
    if isinstance(there, str):
        return f"{len(here)} rows here; sdg_hub stopped: {there}", "EmptyDatasetError" in there and not here
    return f"{len(there)} rows there, {len(here)} rows here", here == there


def report(python: str) -> Iterator[bool]:
    """Prints a line for each flow, and gives whether it is as it should be."""
    for flow in find_flows(python):
        name = str(flow.parent).rpartition("/flows/")[2]
        try:
            spec = read_flow(flow)
        except FlowError as error:
            print(f"{name}: does not load: {error}")
            yield False
            continue
        kinds = {block.type_name for _, block in spec.blocks()}
        if kinds & NEEDS_MORE:
            print(f"{name}: loads; not run, as it needs {', '.join(sorted(kinds & NEEDS_MORE))}")
            yield True
            continue
        with tempfile.TemporaryDirectory() as folder:
            said, is_same = compare(python, flow, spec, Path(folder))
        print(f"{name}: {said}: {'the same' if is_same else 'DIFFERENT'}", flush=True)
        yield is_same


if __name__ == "__main__":
    sys.exit(0 if all([*report(sys.argv[1])]) else 1)
