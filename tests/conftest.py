"""Servers of the tests' own, Prefect's and one that speaks S3, started by the first test that needs one and ended with the last."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.ports import free_port

if TYPE_CHECKING:
    from tests.s3 import S3Server


_NOT_LOOKED_AT = ("EVENT_PERSISTER", "LATE_RUNS", "FOREMAN", "PAUSE_EXPIRATIONS", "REPOSSESSOR")
"""Services of Prefect's server that no test looks at; without them it takes a quarter less of the machine."""


def pytest_configure(config: pytest.Config) -> None:
    """Keep the managed Prefect server of the tests out of the user's folders; all workers share one."""
    # Every run tries the same examples, and none is too slow on a busy machine.
    settings.register_profile("sdg", deadline=None, database=None, derandomize=True)
    settings.load_profile("sdg")
    # A shell starts what it puts into the background deaf to Ctrl-C, and what is started here would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        os.environ["SDG_PREFECT_HOME"] = tempfile.mkdtemp(prefix="sdg-tests-")
        os.environ["SDG_PREFECT_SERVER_PORT"] = str(free_port())
    for service in _NOT_LOOKED_AT:
        os.environ[f"PREFECT_SERVER_SERVICES_{service}_ENABLED"] = "false"
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "OPENAI_API_KEY"):
        os.environ.pop(name, None)


def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Before all tests, begin with what takes longest: the server's making of its database."""
    if config.args_source is config.ArgsSource.TESTPATHS:
        from sdg_prefect.engine.server import begin_managed

        begin_managed()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every worker begin with slow tests, so that no long one is left for the end: each gets an equal part of the list."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = [item for item in items if "e2e" in item.path.parts]
    quick = [item for item in items if "e2e" not in item.path.parts]
    items[:] = [
        item
        for worker in range(workers)
        for kind in (slow, quick)
        for item in kind[len(kind) * worker // workers : len(kind) * (worker + 1) // workers]
    ]


def pytest_collection_finish() -> None:
    """Look through what was imported for garbage no more: it lives to the end, and there is much of it."""
    gc.freeze()


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Note how many attacks of a kind a test has tried, for the end of the tests."""
    return lambda what, count: record_property("tried", f"{count:,} {what}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what attacks were tried, and withstood."""
    reports = terminalreporter.stats.get("passed", [])
    counts = sorted(str(count) for report in reports for name, count in report.user_properties if name == "tried")
    if counts:
        terminalreporter.section("attacks that were tried in vain")
        for line in counts:
            terminalreporter.line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server and remove its folder."""
    if hasattr(config, "workerinput"):
        return
    from sdg_prefect.engine.server import stop

    stop()
    shutil.rmtree(os.environ["SDG_PREFECT_HOME"], ignore_errors=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A server that speaks S3, for this process and those that it starts."""
    from tests.s3 import S3Server

    with S3Server() as server:
        yield server


@pytest.fixture
def bucket(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a new bucket, to which the environment leads."""
    from tests.s3 import leading_to

    with leading_to(s3_server.environment, monkeypatch):
        yield s3_server.new_bucket()
