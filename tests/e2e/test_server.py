"""The managed Prefect server, started for real in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sdg_prefect.engine import server
from sdg_prefect.settings import settings
from tests.e2e.servers import a_home, ask
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
BEGIN = "from sdg_prefect.engine import server; print(server.begin().pid, flush=True)"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder for the managed server, where it starts quickly."""
    with a_home(tmp_path) as folder:
        yield folder


def in_another_process(code: str, **variables: str) -> subprocess.Popen[str]:
    """Start Python with this code, detached."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def output_of(process: subprocess.Popen[str]) -> str:
    """Return what a process prints; it must end well."""
    output, errors = process.communicate(timeout=150)
    assert process.returncode == 0, errors
    return output.strip()


def is_running(pid: int | None) -> bool:
    """Return whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state.rpartition(")")[2].split()[0] not in "ZX"


def ends_soon(pid: int | None) -> bool:
    """Return whether a process that was told to end is gone soon; the last steps of its end take a moment."""
    deadline = time.monotonic() + 60
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_running(pid)


def test_a_second_begin_attaches_to_the_same_server(home: Path) -> None:
    first = server.begin()
    assert first.is_managed
    second = server.begin()
    assert second == first == server.status()
    server.wait_until_ready(second)
    assert server.begin() == first
    with urllib.request.urlopen(first.ui_url, timeout=60) as page:
        assert "Prefect" in page.read().decode()
    assert sorted(path.name for path in home.iterdir()) == ["prefect", "server.json", "server.lock", "server.log"]


def test_the_address_that_we_set_for_a_client_is_still_the_managed_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.begin()
    monkeypatch.setenv("PREFECT_API_URL", first.api_url)
    assert server.begin() == first


def test_two_processes_that_begin_at_once_share_one_server(home: Path) -> None:
    both = [in_another_process(BEGIN) for _ in range(2)]
    first, second = (output_of(process) for process in both)
    assert first == second
    running = server.status()
    assert running is not None
    assert str(running.pid) == first
    server.wait_until_ready(running)


def test_beginning_does_not_import_prefect(home: Path) -> None:
    heavy = "{'prefect', 'datasets', 'pyarrow', 'fastapi', 'httpx'}"
    code = f"{BEGIN}; server.client_environment(server.status()); import sys; print({heavy} & set(sys.modules))"
    assert output_of(in_another_process(code)).endswith("set()")


def test_an_interrupt_of_the_run_leaves_the_server_running(home: Path) -> None:
    run = in_another_process(f"{BEGIN}; import time; time.sleep(60)")
    assert run.stdout is not None
    pid = int(run.stdout.readline())
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0
    running = server.status()
    assert running is not None
    assert running.pid == pid


def test_a_killed_server_is_revived_on_its_port_and_knows_who_holds_a_place(home: Path) -> None:
    first = server.begin()
    server.wait_until_ready(first)
    assert first.pid is not None
    limits = f"{first.api_url}/v2/concurrency_limits"
    ask("POST", f"{limits}/", json={"name": "places", "limit": 1})
    wanted = {"names": ["places"], "slots": 1, "mode": "concurrency", "lease_duration": 300}
    lease = ask("POST", f"{limits}/increment-with-lease", json=wanted).json()["lease_id"]
    os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while server.status() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not server.is_answering(first)
    second = server.revive(first)
    assert second.api_url == first.api_url
    assert second.pid != first.pid
    server.wait_until_ready(second)
    assert server.revive(second) == second
    # Prefect ends a run of a deployment whose place is lost.
    assert ask("POST", f"{limits}/leases/{lease}/renew", json={"lease_duration": 300}).is_success


def test_a_server_is_not_revived_where_another_program_listens_now(home: Path) -> None:
    first = server.begin()
    server.stop()
    with socket.create_server(("127.0.0.1", first.port or 0)), pytest.raises(server.ServerError, match="in use"):
        server.revive(first)


def test_stop_ends_the_server(home: Path) -> None:
    running = server.begin()
    server.wait_until_ready(running)
    assert server.stop()
    assert server.status() is None
    assert ends_soon(running.pid)
    assert not server.is_answering(running)
    assert not server.stop()


@pytest.mark.parametrize("stale", ["another program", "a number that nothing has", "half a file"])
def test_a_stale_address_is_discarded_and_its_process_left_alone(home: Path, stale: str) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as bystander:
        pid = bystander.pid if stale == "another program" else 2**22 + 1
        text = json.dumps({"pid": pid, "port": free_port(), "started": "", "versions": {"prefect": "3.8.8"}})
        (home / "server.json").write_text(text[:20] if stale == "half a file" else text)
        assert server.status() is None
        started = server.begin()
        assert started.pid not in {None, pid}
        assert server.status() == started
        assert server.stop()
        assert bystander.poll() is None


def test_a_server_of_another_prefect_is_replaced(home: Path) -> None:
    old = server.begin()
    address = json.loads((home / "server.json").read_text())
    (home / "server.json").write_text(json.dumps({**address, "versions": {"prefect": "3.8.7"}}))
    new = server.begin()
    assert new.pid != old.pid
    assert ends_soon(old.pid)
    assert server.status() == new


def test_a_port_in_use_is_passed_over(home: Path) -> None:
    wanted = settings().server_port
    with socket.create_server(("127.0.0.1", wanted)):
        started = server.begin()
    assert started.port is not None
    assert started.port > wanted


def test_a_server_that_cannot_start_is_reported_with_its_last_words(home: Path) -> None:
    for file in (home / "prefect").glob("prefect.db*"):
        file.write_text("This is not a database. " * 1000)
    with pytest.raises(server.ServerError, match=r"has ended: .*file is not a database.*server\.log"):
        server.wait_until_ready(server.begin())


def test_a_server_that_is_too_slow_is_not_waited_for(home: Path) -> None:
    with pytest.raises(server.ServerError, match=r"did not answer for 0\.2 seconds"):
        server.wait_until_ready(server.begin(), timeout=0.2)


def test_a_log_that_has_grown_long_is_begun_anew(home: Path) -> None:
    with (home / "server.log").open("wb") as log:
        log.truncate(10_000_001)
    server.begin()
    assert (home / "server.log").stat().st_size < 10_000


def test_a_home_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with a_home(tmp_path / "file" / "home", is_new=True), pytest.raises(server.ServerError, match="SDG_PREFECT_HOME"):
        server.begin()


def test_a_named_server_that_does_not_answer_is_reported_soon(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    begun = time.monotonic()
    with pytest.raises(server.ServerError, match=r"PREFECT_API_URL names .* no Prefect server answers"):
        server.begin()
    assert time.monotonic() - begun < 6
    managed = server.begin_managed()
    assert managed.is_managed
    assert server.client_environment(managed)["PREFECT_API_URL"] == managed.api_url


@contextmanager
def a_named_server(status: int, kind: str, asked: list[str | None]) -> Iterator[str]:
    """Serve one answer to everything, and note the Authorization of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"true")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{served.server_port}/api"
        finally:
            served.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("variable", "value", "sent"),
    [("PREFECT_API_KEY", "key", "Bearer key"), ("PREFECT_API_AUTH_STRING", "me:word", "Basic bWU6d29yZA=="), ("X", "", None)],
)
def test_a_named_server_is_used_and_told_who_asks(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sent: str | None
) -> None:
    asked: list[str | None] = []
    monkeypatch.setenv(variable, value)
    with a_named_server(200, "application/json", asked) as api_url:
        monkeypatch.setenv("PREFECT_API_URL", f"{api_url}/")
        found = server.begin()
    assert found == server.Server(api_url, api_url.removesuffix("/api"), is_managed=False)
    assert asked == [sent]
    environment = server.client_environment(found)
    assert environment["PREFECT_API_URL"] == api_url
    assert "PREFECT_HOME" not in environment
    assert not (home / "server.json").exists()


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [(401, "application/json", "PREFECT_API_KEY"), (200, "text/html", "ends in /api"), (500, "application/json", "500 Internal")],
)
def test_a_named_server_that_cannot_be_used_says_why(
    home: Path, monkeypatch: pytest.MonkeyPatch, status: int, kind: str, said: str
) -> None:
    with a_named_server(status, kind, []) as api_url:
        monkeypatch.setenv("PREFECT_API_URL", api_url)
        with pytest.raises(server.ServerError, match=said):
            server.begin()


def test_a_name_that_is_no_address_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "prefect.example.com/api")
    with pytest.raises(server.ServerError, match="begins with http"):
        server.begin()


def test_what_the_user_has_set_stays_but_for_what_a_run_needs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    managed = server.Server("http://127.0.0.1:4200/api", "http://127.0.0.1:4200", is_managed=True)
    own = {
        "DO_NOT_TRACK": "0",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "mine",
        "PREFECT_API_URL": "https://example.com/api",
        "PREFECT_PROFILE": "mine",
        "HTTPS_PROXY": "http://proxy:3128",
        "NO_PROXY": "example.com",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    environment = server.client_environment(managed)
    assert not {"DO_NOT_TRACK", "PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"} & set(environment)
    assert environment["PREFECT_LOGGING_EXTRA_LOGGERS"] == "mine,sdg_prefect"
    assert environment["PREFECT_API_URL"] == managed.api_url
    assert environment["PREFECT_HOME"] == str(home / "prefect")
    assert environment["NO_PROXY"] == "example.com,127.0.0.1,localhost"


CHATTY_FLOW = """
import asyncio, logging, os
from sdg_prefect.engine import server
os.environ.update(server.client_environment(server.begin()))
from prefect import flow, get_client, settings
from prefect.client.schemas.sorting import LogSort
logging.getLogger("sdg_prefect").setLevel("INFO")

@flow
async def chatty():
    logging.getLogger("sdg_prefect.run").info("a line of ours")

async def main():
    await chatty()
    from prefect.logging.handlers import APILogHandler
    await APILogHandler.aflush()
    current = settings.get_current_settings()
    async with get_client() as client:
        lines = [log.message for log in await client.read_logs(limit=50, sort=LogSort.TIMESTAMP_DESC)]
    print("a line of ours" in lines, current.server.ephemeral.enabled, current.home)

asyncio.run(main())
"""


def test_a_client_shows_its_lines_in_the_ui_and_not_on_the_console(home: Path, tmp_path: Path) -> None:
    user = tmp_path / "user"
    user.mkdir()
    run = in_another_process(CHATTY_FLOW, HOME=str(user), PREFECT_PROFILE="mine")
    output, errors = run.communicate(timeout=90)
    assert output.split("\n") == [f"True False {home / 'prefect'}", ""], errors
    assert "INFO" not in errors
    assert "a line of ours" not in errors
    assert list(user.iterdir()) == []
