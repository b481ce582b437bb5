"""A disk that is full in the middle of a run: the run says so and ends, and goes on when there is space."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.simulator import SimulatedModel
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_reports, run_ids

if TYPE_CHECKING:
    from tests.e2e.commands import Ran
    from tests.e2e.conftest import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 12
CALLS = 2 * ROWS
CONCURRENCY = 4
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY), "--storage", "small/store")
SPACE = 4_000_000


@pytest.fixture
def small(project: Project) -> Iterator[Path]:
    """A folder ``small`` of the project that is a disk of its own, of a few megabytes."""
    folder = project.folder / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("a disk of its own needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill a disk but for so many bytes, and return what fills it."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free - leave
    try:
        ballast.write_bytes(bytes(max(0, free) + (0 if leave else 1_000_000)))
    except OSError:
        assert not leave
    return ballast


def assert_says_what_to_do(ran: Ran) -> None:
    """Check how a run ends for which there is no space."""
    assert ran.code == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    said = ran.stderr.lower()
    assert "no space left on device" in said
    assert "free some space; the same command goes on" in said


def test_a_full_store_ends_the_run_which_goes_on_when_there_is_space(
    project: Project, model: SimulatedModel, small: Path
) -> None:
    project.seeds(ROWS)
    model.change(latency=0.3)
    run = project.start(model.url, *WORDS)
    run.wait_for(lambda: model.stats()["completions"] >= 6, "the sixth reply")
    ballast = fill(small)
    failed = run.wait()
    assert_says_what_to_do(failed)
    assert "The report of the run could not be kept" in failed.stderr
    assert failed.report["status"] == "failed"
    assert not (project.folder / "out.jsonl").exists()
    model.change(latency=0.0)
    ballast.unlink()
    again = project.run(model.url, *WORDS)
    assert (again.code, len(project.output())) == (0, ROWS), again.stderr
    assert again.report["llm_calls"] + again.report["llm_replayed"] == CALLS
    assert again.report["llm_replayed"] >= 2
    lost = model.stats()["completions"] - CALLS
    assert lost <= 2 * CONCURRENCY, "no more than what was in flight is paid for again"


@pytest.mark.long
@pytest.mark.parametrize("leave", [8_192, 65_536])
def test_wherever_the_space_ends_the_run_ends_well(project: Project, model: SimulatedModel, small: Path, leave: int) -> None:
    project.seeds(ROWS)
    ballast = fill(small, leave)
    failed = project.run(model.url, *WORDS)
    assert_says_what_to_do(failed)
    ballast.unlink()
    again = project.run(model.url, *WORDS)
    assert (again.code, len(project.output())) == (0, ROWS), again.stderr
    assert model.stats()["completions"] - CALLS <= 2 * CONCURRENCY
    root = Root.at(small / "store")
    # Runs of the same second are in no order.
    mine = again.report["run_id"]
    assert mine in run_ids(root)
    assert read_reports(root, [mine])[mine]["status"] == "completed"


def test_no_space_for_the_output_leaves_the_old_one(project: Project, model: SimulatedModel, small: Path) -> None:
    project.seeds(ROWS)
    output = small / "out.jsonl"
    output.write_text("old\n", "utf-8")
    words = ("--shard-size", "3", "--output", "small/out.jsonl")
    ballast = fill(small)
    failed = project.run(model.url, *words)
    assert_says_what_to_do(failed)
    assert (output.read_text("utf-8"), {file.name for file in small.iterdir()}) == ("old\n", {"out.jsonl", "ballast"})
    assert project.report()["status"] == "failed"
    ballast.unlink()
    assert project.run(model.url, *words).code == 0
    assert len(output.read_text("utf-8").splitlines()) == ROWS
    assert model.stats()["completions"] == CALLS
