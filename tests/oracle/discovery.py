"""Compares what can be found out about flows and blocks: what the registries of sdg_hub 0.9.4 say, and what our commands do.

    .venv/bin/python -m tests.oracle.discovery /tmp/oracle09/bin/python    # see dialect.py for this environment

The flows are those that come with sdg_hub, and some that are odd; each tag, author, id and name is looked for. Exits 1 if a flow is not
found, or another one is, or says something else, or a block is not there.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from sdg_prefect.blocks import block_names
from sdg_prefect.cli.app import app
from tests.oracle.shipped_flows import find_flows

THEIRS = """
import json, sys
from sdg_hub import BlockRegistry, FlowRegistry
FlowRegistry._initialized = True
FlowRegistry.register_search_path(sys.argv[1])
flows = FlowRegistry.list_flows()
about = [FlowRegistry.get_flow_metadata(flow["name"]) for flow in flows]
print(json.dumps({
    "flows": {flow["id"]: FlowRegistry.get_flow_path(flow["id"]) for flow in flows},
    "names": {flow["name"]: FlowRegistry.get_flow_path(flow["name"]) for flow in flows},
    "tags": {tag: [one["id"] for one in FlowRegistry.search_flows(tag=tag)] for each in about for tag in each.tags},
    "authors": {part: [one["id"] for one in FlowRegistry.search_flows(author=part)]
                for each in about for part in (each.author, each.author[:4].upper()) if part},
    "about": {one.id: one.model_dump() for one in about},
    "blocks": BlockRegistry.list_blocks(),
}))
"""
BLOCK = "blocks: [{block_type: RowMultiplierBlock, block_config: {block_name: b, num_samples: 2}}]\n"
ODD = {
    "capitals.yaml": "metadata: {name: Capitals, id: capitals-1, tags: [' Some Tag ', B], author: Ada L}\n" + BLOCK,
    "deep/er/plain.yaml": "metadata: {name: Plain, id: plain-1, author: ada}\n" + BLOCK,
    "prompts/no_flow.yaml": "- {role: user, content: x}\n",
    "broken.yaml": "metadata: [\n",
}
NOT_TOLD = ("version", "license")
"""Sdg_hub has something to say of these where a flow has not; a line of docs/from-sdg-hub-0.9.md."""
ABOUT = ("name", "version", "author", "license", "tags", "description")


def ours(folder: Path, *words: str) -> dict[str, Any]:
    """Ask the command ``flows``, and return what it says by the ids of the flows."""
    done = CliRunner().invoke(app, ["flows", *words, "--folder", str(folder), "--json"], catch_exceptions=False)
    return {one["id"]: one for one in json.loads(done.stdout).values()} if done.exit_code == 0 else {}


def differences(python: str, folder: Path) -> Iterator[str]:
    """Look for everything on both sides, and say what is found by one only."""
    asked = subprocess.run([python, "-c", THEIRS, str(folder)], check=True, capture_output=True, text=True)
    there = json.loads(asked.stdout.splitlines()[-1])
    here = ours(folder)
    print(f"{len(there['flows'])} flows and {len(there['blocks'])} blocks there, {len(here)} and {len(block_names())} here")
    for kind, option in (("tags", "--tag"), ("authors", "--author")):
        for wanted, ids in there[kind].items():
            if set(found := ours(folder, option, wanted)) != set(ids):
                yield f"{option} {wanted}: {sorted(found)} here, {sorted(ids)} there"
    for wanted, path in {**there["flows"], **there["names"]}.items():
        found = ours(folder, wanted)
        if [one["file"] for one in found.values()] != [path]:
            yield f"flows {wanted}: {[one['file'] for one in found.values()]} here, {path} there"
    for name, about in there["about"].items():
        said = {**here[name], "tags": [tag.lower() for tag in here[name]["tags"]]}
        differ = [key for key in ABOUT if said[key] != about[key] and (said[key] or key not in NOT_TOLD)]
        yield from (f"{name}: {key} is {said[key]!r} here, {about[key]!r} there" for key in differ)
        needs = about["dataset_requirements"] or {"required_columns": []}
        if missing := set(needs["required_columns"]) - set(said["seeds"]):
            yield f"{name}: needs {sorted(missing)} there"
        models = about["recommended_models"]
        told = [said["recommended model"], *said["other models"]]
        if models and told != [models["default"], *models["compatible"], *models["experimental"]]:
            yield f"{name}: models are {told} here, {models} there"
    yield from (f"there is no block '{name}' here" for name in there["blocks"] if name not in block_names())


def report(python: str) -> bool:
    """Print what differs, and return whether nothing does."""
    with tempfile.TemporaryDirectory() as name:
        # sdg_hub writes into the flow files that it reads.
        flows = find_flows(python)
        root = next(parent for parent in flows[0].parents if parent.name == "flows")
        folder = Path(shutil.copytree(root, Path(name, "flows")))
        for file, text in ODD.items():
            place = folder / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
        found = list(differences(python, folder))
    print("\n".join(found) or "the same")
    return not found


if __name__ == "__main__":
    sys.exit(0 if report(sys.argv[1]) else 1)
