"""Which runs are on, told by processes that really live and die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.presence import Heartbeat, Presence, forget, is_alive, presences, read_presence
from sdg_prefect.store.sharing.process import Process

RUN = """\
import sys
from sdg_prefect.store.sharing.presence import Heartbeat
from sdg_prefect.store.root import Root
heartbeat = Heartbeat(Root.at(sys.argv[1]), "other", "flow", "http://server/api", "", ["one"])
heartbeat.begin()
print("on", flush=True)
sys.stdin.readline()
heartbeat.end()
print("over", flush=True)
"""

Begin = Callable[[Root], "subprocess.Popen[str]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begin a run in a process of its own."""
    begun: list[subprocess.Popen[str]] = []

    def start(root: Root) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        process = subprocess.Popen([sys.executable, "-c", RUN, root.uri], stdin=pipe, stdout=pipe, text=True)
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "on\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture
def root(place: str) -> Root:
    """A store of each kind."""
    return Root.at(place)


def elsewhere(presence: Presence) -> Presence:
    """Return a presence as if its process were on another machine."""
    return replace(presence, process=replace(presence.process, host="another-machine"))


def test_a_run_is_alive_as_long_as_it_is_on_and_leaves_nothing(root: Root, begin: Begin) -> None:
    process = begin(root)
    (presence,) = presences(root)
    assert (presence.run_id, presence.flow, presence.api_url) == ("other", "flow", "http://server/api")
    assert presence.flow_run_ids == ("one",)
    assert presence.process.pid == process.pid
    assert is_alive(presence)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "over\n"
    assert presences(root) == []
    assert read_presence(root, "other") is None


def test_a_killed_run_is_dead_at_once_even_before_its_parent_asked_for_it(root: Root, begin: Begin) -> None:
    process = begin(root)
    os.kill(process.pid, 9)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    (presence,) = presences(root)
    assert not is_alive(presence)
    process.wait()
    assert not is_alive(presence)
    forget(root, "other")
    forget(root, "other")
    assert presences(root) == []


def test_a_process_that_was_given_the_number_of_a_dead_run_is_not_the_run(root: Root, begin: Begin) -> None:
    begin(root)
    (presence,) = presences(root)
    assert not is_alive(replace(presence, process=replace(presence.process, born="1")))


def test_a_run_on_another_machine_is_alive_while_it_is_heard_of(root: Root, begin: Begin) -> None:
    begin(root)
    (presence,) = map(elsewhere, presences(root))
    assert is_alive(presence, presence.beat + 59)
    assert not is_alive(presence, presence.beat + 61)


def test_a_start_of_the_machine_and_a_container_are_machines_of_their_own() -> None:
    this = Process.this()
    assert this.is_running is True
    assert replace(this, boot="an earlier one").is_running is None


def test_a_heartbeat_renews_what_it_says_from_a_thread_of_its_own(root: Root) -> None:
    ids: list[str] = []
    heartbeat = Heartbeat(root, "mine", flow_run_ids=ids, every=0.05)
    heartbeat.begin()
    try:
        ids.append("learned later")
        deadline = time.monotonic() + 30
        while (presence := read_presence(root, "mine")) is None or not presence.flow_run_ids:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert presence.flow_run_ids == ("learned later",)
        assert is_alive(presence)
    finally:
        heartbeat.end()
    assert presences(root) == []
    # The process goes on, the run does not.
    assert not is_alive(presence)


def test_the_clock_of_the_store_counts_and_not_that_of_the_machine(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    heartbeat = Heartbeat(root, "mine")
    monkeypatch.setattr(time, "time", lambda: real() + 3600)
    heartbeat.begin()
    try:
        (presence,) = map(elsewhere, presences(root))
        assert abs(heartbeat.now() - real()) < 30
        assert is_alive(presence, heartbeat.now())
    finally:
        heartbeat.end()


def test_what_is_no_presence_is_passed_over(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    assert presences(root) == []
    root.write(b"{", "runs", "broken", "alive.json")
    root.write(json.dumps({"run_id": "x"}).encode(), "runs", "strange", "alive.json")
    root.write(b"{}", "runs", "ended", "report.json")
    assert presences(root) == []
