"""A folder as a user has one: a flow, its prompts, its seeds; and ways to run it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sdg_prefect import generate
from sdg_prefect.engine import server
from sdg_prefect.errors import RejectedRows
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.commands import Ran, Started, start, user_environment, wait_for
from tests.e2e.history import History

Row = dict[str, Any]

FLOW = """\
name: small
pipelines:
- name: questions
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- name: answers
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
"""
ASK = """\
system: You write questions.
generation: |
  Document:
  {{document}}

  Write a question about the document between tags:

  [Start of Question]
  your question
  [End of Question]
start_tags: ["[Start of Question]"]
end_tags: ["[End of Question]"]
"""
REPLY = """\
system: You answer questions.
generation: |
  Document:
  {{document}}

  Question:
  {{question}}

  Answer the question. Put the answer between tags:

  [Start of Answer]
  your answer
  [End of Answer]
start_tags: ["[Start of Answer]"]
end_tags: ["[End of Answer]"]
"""

_QUICK = {"SDG_PREFECT_CALL_BACKOFF": "0.02", "SDG_PREFECT_TASK_BACKOFF": "0.05"}
"""Nothing here needs time to recover."""


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Let something happen while a run goes on."""
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


class Project:
    """A folder with ``flow.yaml``, its prompts, and ``seeds.jsonl``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("flow.yaml", FLOW)
        self.write("ask.yaml", ASK)
        self.write("reply.yaml", REPLY)

    @property
    def flow(self) -> Path:
        """The flow file."""
        return self.folder / "flow.yaml"

    @property
    def store(self) -> Path:
        """The store of every run here that names no other."""
        return self.folder / "store"

    wait_for = staticmethod(wait_for)

    @staticmethod
    def documents(count: int) -> list[Row]:
        """Return so many seeds, no two alike."""
        return [{"document": f"Island {place} has {place * 7 + 3} wells, fed by river {place * 11}."} for place in range(count)]

    def write(self, name: str, text: str) -> Path:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def seeds(self, rows: int | Iterable[Mapping[str, Any]]) -> None:
        """Write the seeds: these rows, or so many documents."""
        rows = self.documents(rows) if isinstance(rows, int) else rows
        self.write("seeds.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def command(self, *words: str, **variables: str) -> Started:
        """Start the command line in this folder, as a user does."""
        return start(words, self.folder, {**user_environment(), **_QUICK, **variables})

    def start(self, url: str, *words: str, **variables: str) -> Started:
        """Start ``run`` on the model served at an address."""
        usual = ("run", "flow.yaml", "--input", "seeds.jsonl", "--output", "out.jsonl", "--storage", "store", "--json")
        return self.command(*usual, "--api-base", url, *words, **variables)

    def run(self, url: str, *words: str, **variables: str) -> Ran:
        """Run to the end."""
        return self.start(url, *words, **variables).wait()

    def generate(self, seeds: Any, url: str | Sequence[str] | None, **options: Any) -> list[Row]:
        """Run in this process and return the rows; rejected ones have to be allowed."""
        options = {"storage": self.store, **options}
        try:
            rows: list[Row] = generate(self.flow, seeds, api_base=url, **options).to_list()
        except RejectedRows as error:
            pytest.fail(f"{error} The first one: {self.rejects()[:1]}")
        return rows

    def output(self, name: str = "out.jsonl") -> list[Row]:
        """Read the rows of an output."""
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").splitlines()]

    def reports(self) -> list[dict[str, Any]]:
        """Read the reports of all runs, the oldest first."""
        files = sorted((self.store / "runs").glob("*/report.json"), key=lambda file: file.stat().st_mtime_ns)
        return [json.loads(file.read_text("utf-8")) for file in files]

    def report(self) -> dict[str, Any]:
        """Read the report of the latest run."""
        return self.reports()[-1]

    def rejects(self) -> list[Row]:
        """Read the rejected rows of the latest run."""
        rows: list[Row] = pq.read_table(self.store / "runs" / self.report()["run_id"] / "rejects.parquet").to_pylist()
        return rows


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder with a flow of two pipelines, each with a block that asks a model once for each row."""
    for name, value in _QUICK.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield Project(tmp_path)
    settings.cache_clear()


@pytest.fixture
def model() -> Iterator[SimulatedModel]:
    """A simulated model that answers at once; ``change`` gives it faults."""
    with SimulatedModel(SimulatorSettings()) as server:
        yield server


@pytest.fixture
def history() -> History:
    """The managed server of the tests, running."""
    managed = server.begin_managed()
    server.wait_until_ready(managed)
    return History(managed.api_url)
