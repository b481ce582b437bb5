"""The packages installed here work together: the versions are in bounds, and Prefect's server does its work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sdg_prefect.engine import server
from sdg_prefect.engine.server_installed import BOUNDS, Bound
from tests.e2e.servers import a_home

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
REQUIRED = {
    requirement.name: requirement
    for requirement in map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
}


@pytest.fixture(scope="module")
def quick_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[server.Server]:
    """A managed server whose scheduler does not take its time."""
    with a_home(tmp_path_factory.mktemp("fresh") / "home"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS", "2")
        started = server.begin()
        server.wait_until_ready(started)
        yield started


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_the_installed_version_is_in_the_bounds_of_the_project(name: str) -> None:
    assert REQUIRED[name].specifier.contains(version(name), prereleases=True)


def test_s3fs_is_not_the_release_of_2020_that_pip_goes_back_to() -> None:
    assert REQUIRED["s3fs"].specifier.contains("2025.3.0")
    assert not REQUIRED["s3fs"].specifier.contains("2025.2.0")


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.package)
def test_what_is_refused_at_the_start_is_never_installed_with_the_project(bound: Bound) -> None:
    wanted = REQUIRED[Requirement(bound.requirement).name].specifier
    assert bound.below not in wanted
    assert not bound.at_least or f"{bound.at_least}.dev0" not in wanted


def test_the_installed_set_passes_the_check() -> None:
    server.check_installed()


def said_with(tmp_path: Path, installed: dict[str, str], call: str = "check_installed()") -> str:
    """Return what the check says in a process that finds these versions first."""
    for name, number in installed.items():
        folder = tmp_path / f"{name}-{number}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    code = (
        "from sdg_prefect.engine.server import InstalledSetError, check_installed\n"
        f"try: {call}\nexcept InstalledSetError as error: print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_a_fastapi_that_is_too_new_is_named_with_what_to_run(tmp_path: Path) -> None:
    assert said_with(tmp_path, {"fastapi": "0.160.0"}) == (
        "fastapi 0.160.0 is installed; Prefect's server does not start with fastapi 0.155 or later. "
        "Run: pip install 'fastapi<0.155'"
    )


def test_every_package_out_of_bounds_is_named_at_once(tmp_path: Path) -> None:
    said = said_with(tmp_path, {"prefect": "3.6.0", "sqlalchemy": "2.1.0rc1"})
    assert "prefect 3.6.0 is installed; sdg_prefect needs 3.8.8 or later." in said
    assert said.endswith("Run: pip install 'prefect>=3.8.8,<3.9' 'sqlalchemy<2.1'")


def test_a_run_with_a_server_elsewhere_does_not_need_what_only_a_server_needs(tmp_path: Path) -> None:
    assert said_with(tmp_path, {"fastapi": "0.160.0"}, "check_installed(starts_server=False)") == ""


def test_the_scheduler_of_the_server_creates_runs(quick_server: server.Server) -> None:
    scheduled, seconds = asyncio.run(scheduled_runs(quick_server.api_url, patience=90))
    assert scheduled > 0, f"no run was scheduled in {seconds:.0f} seconds"


def test_a_client_need_not_say_what_it_leaves_open(quick_server: server.Server) -> None:
    assert asyncio.run(all_flow_runs(quick_server.api_url)) >= 0


async def all_flow_runs(api_url: str) -> int:
    """Return how many flow runs there are, asked for as Prefect's own command line does."""
    from prefect.client.orchestration import PrefectClient

    async with PrefectClient(api_url) as client:
        return len(await client.read_flow_runs())


async def scheduled_runs(api_url: str, patience: float) -> tuple[int, float]:
    """Deploy a flow on an interval and return how many scheduled runs there are, as soon as there is one."""
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import FlowRun, StateType
    from prefect.client.schemas.schedules import IntervalSchedule
    from prefect.client.schemas.sorting import FlowRunSort

    begun = time.monotonic()
    only_scheduled = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])))
    async with PrefectClient(api_url) as client:
        schedule = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(minutes=1)))
        flow = await client.create_flow_from_name("scheduled")
        await client.create_deployment(flow, "every-minute", schedules=[schedule])
        runs: list[FlowRun] = []
        while not runs and time.monotonic() - begun < patience:
            await asyncio.sleep(1)
            runs = await client.read_flow_runs(flow_run_filter=only_scheduled, sort=FlowRunSort.ID_DESC, limit=50)
    return len(runs), time.monotonic() - begun
