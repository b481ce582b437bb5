"""A package with a block, a type of replies and a kind of agent, built and installed as anybody would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.services import serve

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "plugin"

pytestmark = pytest.mark.e2e

FLOW = """\
name: shop
blocks:
- block_type: StructuredLLMBlock
  block_config: {block_name: write, config_path: ask.yaml, model_id: teacher, output_type: shop_review}
- block_type: ReadingEase
  block_config: {block_name: ease, column: review}
- block_type: AgentBlock
  block_config:
    block_name: ask_clerk
    agent_framework: clerk
    agent_url: ${CLERK}/ask
    agent_api_key: ${SHOP_KEY}
    input_cols: document
    output_cols: reply
    connector_kwargs: {branch: harbour}
- block_type: AgentResponseExtractorBlock
  block_config: {block_name: said, input_cols: reply}
"""


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [str(word) for word in command],
        env=environment,
        cwd=variables.get("PWD"),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the example's wheel, and what the tests have."""
    folder = tmp_path_factory.mktemp("plugin")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    built = run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, EXAMPLE)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    assert run(sys.executable, "-m", "venv", "--without-pip", folder / "venv").returncode == 0
    made = folder / "venv" / "bin" / "python"
    (packages,) = (folder / "venv").glob("lib/*/site-packages")
    (packages / "beside.pth").write_text(f"{sysconfig.get_path('purelib')}\n{ROOT}\n")
    installed = run(*pip, "--python", made, "install", "--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    return made


def test_the_example_is_known_by_name_and_passes_its_own_tests(python: Path, tmp_path: Path) -> None:
    checked = run(python, "-m", "sdg_prefect", "check", EXAMPLE / "flow.yaml", "--input", EXAMPLE / "seeds.jsonl")
    assert (checked.returncode, checked.stderr) == (0, "")
    tested = run(python, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--rootdir", EXAMPLE, EXAMPLE / "tests")
    assert tested.returncode == 0, tested.stdout
    assert "3 passed" in tested.stdout


def test_its_block_type_and_agent_work_in_a_run(python: Path, project: Project) -> None:
    project.write("flow.yaml", FLOW)
    project.seeds(3)
    words = ("run", "flow.yaml", "--input", "seeds.jsonl", "--output", "rows.jsonl", "--json")

    def clerk(path: str, body: Any) -> Any:
        return {"line": f"{path} of {body['branch']}: {body['lines'][-1]}"}

    with serve(clerk) as service:
        variables = {"PWD": str(project.folder), "CLERK": service.url, "SHOP_KEY": "k5"}
        ran = run(python, "-m", "sdg_prefect", *words, "--model", "simulated/teacher", **variables)
    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in (project.folder / "rows.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len(service.asked) == 3
    assert {headers["x-shop-key"] for _, _, headers in service.asked} == {"k5"}
    for row in rows:
        assert row["said_text"] == f"/ask of harbour: {row['document']}"
        assert 1 <= row["stars"] <= 5
        assert isinstance(row["reading_ease"], float)


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    about = tmp_path / "broken_blocks-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-blocks\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[sdg_prefect.blocks]\nbroken = nowhere_to_be_found\n")
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    failed = run(sys.executable, "-m", "sdg_prefect", "check", EXAMPLE / "flow.yaml", PYTHONPATH=path)
    assert failed.returncode == 2
    assert "broken-blocks" in failed.stderr
    assert "nowhere_to_be_found" in failed.stderr
    assert "Traceback" not in failed.stderr
