"""The commands of the documents, line by line as a reader gives them, and their flows, on the simulated model.

What a reader has elsewhere is stood in for: OpenAI, and a server at ``localhost:8000``, by the simulated model; a bucket by one of moto.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from sdg_prefect import generate
from sdg_prefect.cli.app import app
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel
from tests.flows import is_flow
from tests.pages import OURS, ROOT, Page, arguments, documents
from tests.s3 import another_client

pytestmark = pytest.mark.e2e

_RUN = "run flow.yaml --input seeds.jsonl --output rows.jsonl"
GIVEN: dict[str, tuple[str, ...]] = {
    "README.md": (),
    "docs/budgets.md": (),
    "docs/first-ten-minutes.md": (),
    "docs/from-data-designer.md": (),
    "docs/from-distilabel.md": (),
    "docs/from-sdg-hub-0.1.md": (),
    "docs/from-sdg-hub-0.9.md": (),
    "docs/models.md": (),
    "docs/operations.md": (_RUN,),
    "docs/own-data.md": (),
    "docs/python.md": (),
    "docs/publishing.md": (_RUN,),
    "docs/rejected-rows.md": (f"{_RUN} --allow-rejects",),
    "docs/reports.md": (f"{_RUN} --keep-ids", f"{_RUN} --fresh"),
    "docs/resuming.md": (),
    "docs/s3.md": (),
    "docs/tools.md": (),
    "docs/tutorial.md": (),
    "docs/watching.md": (),
    "examples/quickstart/README.md": (),
}
"""Documents whose commands are given here, and what is run before: in a folder with the first flow of the README and the page's files."""
_SHIPPED = "test_flows_and_examples runs each flow and example from its seeds; with other seeds and models it is the same command"
GIVEN_ELSEWHERE = {
    "CONTRIBUTING.md": "it is how this test is run",
    "deployments/README.md": "test_deployed makes these deployments and starts them",
    "docs/benchmarks.md": "it takes hours, and tools that are installed apart",
    "docs/deploying.md": "test_deploying gives them, with a worker; those for containers need some",
    "docs/prefect-ui.md": "test_reviews gives those of a review that waits, test_notifications those of a webhook",
    "docs/several-machines.md": "test_dask and test_several_machines start the clusters, and run on them",
    "docs/telemetry.md": "test_telemetry runs it, with a collector that listens",
    "examples/custom_block/README.md": _SHIPPED,
    "examples/plugin/README.md": "test_plugins installs it and runs its flow and its tests",
    "examples/s3/README.md": _SHIPPED,
    "examples/several_models/README.md": _SHIPPED,
    "flows/README.md": _SHIPPED,
}
"""Documents whose commands another test gives, and which, or why nobody does; also those of single flows."""
NOT_GIVEN = {
    "make ": "it is how the tests themselves are run",
    "python -m venv ": "test_installed_set asks pip what it would install",
    ".venv/bin/": "the same; the run of the quick start is that of its own page",
    ". .venv/": "the environment of the tests is active",
    "prefect ": "test_deploying gives these, with a worker that takes the runs",
    "python -m sdg_prefect deploy ": "the same: it needs a pool",
    "python tests/benchmarks/": "a benchmark takes minutes",
    "node tests/browser/": "it needs a browser; make browser has one",
    "export PREFECT_API_URL=": "the tests have a server",
    "export AWS_PROFILE=": "the tests have keys of their own",
    "python -m sdg_prefect server stop": "all tests share one server; test_server stops one",
    "python -m sdg_prefect publish --hub": "test_publish has a Hub of our own",
}
"""Beginnings of commands that are not given, and why."""


NOT_RUN = {
    "reviewed.yaml": "test_reviews runs flows that wait for a person",
}
"""Flows of documents that are only checked, and why."""
FRAGMENTS = {
    "after-pairs.yaml": "an automation of Prefect's; test_notifications makes one like it",
    "expected.yaml": "goes to the end of the flow above it, as the next test does",
}
"""Files of documents that are YAML and neither flow, prompt nor endpoints, and why that is right."""
NAMELESS = {
    "docs/blocks.md": "test_block_standards runs each example, and compares the rows",
    "examples/plugin/README.md": "some lines of the flow beside it",
    "flows/preferences/README.md": "some lines of the flow beside it",
}
"""Documents with YAML that is no file, and why that is right."""


@dataclass
class Reader:
    """Somebody who gives the commands of a page, in a folder."""

    folder: Path
    model: SimulatedModel
    bucket: str = ""
    row_id: str = ""
    may_reject: bool = False
    """True if the model forgets the tags."""

    def give(self, command: str) -> None:
        """Give a command, unless it is known why not."""
        if any(command.startswith(beginning) for beginning in NOT_GIVEN) or command.startswith("export "):
            return
        if not OURS.match(command):
            subprocess.run(command, shell=True, cwd=self.folder, check=True)
            return
        words = arguments(self._in_this_world(command))
        ran = CliRunner().invoke(app, words)
        allowed = (0, 1) if self.may_reject and words[0] == "run" else (0,)
        assert ran.exit_code in allowed, f"{command}\n{ran.output}\n{ran.exception}"

    def _in_this_world(self, command: str) -> str:
        command = command.replace("http://localhost:8000/v1", self.model.url).replace("s3://my-bucket", f"s3://{self.bucket}")
        if self.may_reject and "sdg_prefect run" in command:
            command += f" --api-base {self.model.url}"
        if "20260101-120000-abcdef" in command:
            runs = sorted(path.name for path in (self.folder / ".sdg" / "runs").iterdir())
            command = command.replace("20260101-120000-abcdef", runs[0]).replace("20260102-120000-fedcba", runs[-1])
        return command.replace("ROW_ID", self.row_id)


@pytest.fixture
def reader(tmp_path: Path, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """A reader with the files of the first flow, in the root of a project, with keys as the pages name them."""
    for name, value in {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": model.url, "MY_SERVER_KEY": "any"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    for kind in ("examples", "flows"):
        (tmp_path / kind).symlink_to(ROOT / kind)
    Page("README.md").write_files(tmp_path)
    return Reader(tmp_path, model)


@pytest.mark.parametrize("document", GIVEN)
def test_the_commands_of_a_page_do_what_it_says(document: str, reader: Reader, request: pytest.FixtureRequest) -> None:
    page = Page(document)
    page.write_files(reader.folder)
    if document == "docs/s3.md":
        reader.bucket = request.getfixturevalue("bucket")
        another_client().put(str(reader.folder / "seeds.jsonl"), f"s3://{reader.bucket}/seeds.jsonl")
    if document == "docs/rejected-rows.md":
        reader.model.change(malformed_share=1.0)
        reader.may_reject = True
    for command in GIVEN[document]:
        reader.give(f"python -m sdg_prefect {command}")
        if "--keep-ids" in command:
            reader.row_id = json.loads(Path("rows.jsonl").read_text("utf-8").splitlines()[0])["__row_id__"]
    for command in page.commands():
        reader.give(command)
    for fence in page.fences():
        if fence.language == "python" and not fence.file:
            exec(compile(fence.text, document, "exec"), {})


def test_a_command_of_a_document_is_given_here_or_elsewhere_or_it_is_said_why_not() -> None:
    with_commands = {str(document) for document in documents() if Page(document).commands()}
    single_flows = {name for name in with_commands if re.fullmatch(r"flows/\w+/README.md", name)}
    assert with_commands - single_flows - set(GIVEN) == set(GIVEN_ELSEWHERE)
    given = [command for document in GIVEN for command in Page(document).commands()]
    assert [beginning for beginning in NOT_GIVEN if not any(command.startswith(beginning) for command in given)] == []


ONLY_FLOWS = [
    document for document in documents() if str(document) not in {*GIVEN, "docs/deploying.md"} and Page(document).files()
]
"""Documents whose flows no command runs."""


@pytest.mark.parametrize("document", ONLY_FLOWS, ids=str)
def test_the_flows_of_a_document_run(
    document: Path, tmp_path: Path, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = Page(document).write_files(tmp_path)
    (tmp_path / "models.yaml").unlink(missing_ok=True)
    for file in files:
        if not file.exists() or file.name in NOT_RUN or not is_flow(file):
            continue
        wanted = prepare(RunOptions(flow=file), needs_endpoints=False)
        seeds = [{name: f"Cork number {place} floats." for name in ("document", *wanted.tracking.seeds)} for place in range(2)]
        few = 2 if wanted.plan.target else None
        options: dict[str, Any] = {"target_rows": few, "max_candidates": few, "allow_rejects": True, "allow_missed": True}
        generate(file, seeds, storage=tmp_path / "store" / file.stem, api_base=model.url, **options)
        report = json.loads(next((tmp_path / "store" / file.stem / "runs").glob("*/report.json")).read_text("utf-8"))
        assert report["rows_in"] >= 2
        assert report["rows_rejected"] == 0, (file.name, report)


def test_what_a_page_adds_to_a_flow_fits_there(reader: Reader) -> None:
    Page("docs/tutorial.md").write_files(reader.folder)
    whole = Path("flow.yaml").read_text("utf-8") + Path("expected.yaml").read_text("utf-8")
    Path("flow.yaml").write_text(whole, "utf-8")
    assert prepare(RunOptions(flow="flow.yaml", input="seeds.jsonl"), needs_endpoints=False).plan.warnings == ()


def test_a_yaml_file_of_a_document_is_a_flow_a_prompt_or_endpoints_or_it_is_said_what_else(tmp_path: Path) -> None:
    others = set()
    for document in documents():
        for file in Page(document).write_files(tmp_path / document.parent / document.stem):
            if file.suffix == ".yaml" and not is_flow(file) and file.name != "models.yaml" and not _is_prompt(file):
                others.add(file.name)
    assert others == set(FRAGMENTS)
    nameless = {
        str(document)
        for document in documents()
        if any(one.language == "yaml" and not one.file for one in Page(document).fences())
    }
    assert nameless == set(NAMELESS)


def _is_prompt(file: Path) -> bool:
    data = yaml.safe_load(file.read_text("utf-8"))
    return "generation" in data if isinstance(data, dict) else "role" in data[0]
