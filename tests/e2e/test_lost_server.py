"""Prefect's server goes away for good: the run is stopped within bounds all the same."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.engine import server
from sdg_prefect.simulator import SimulatedModel

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


class Way:
    """The way to a server, which can be cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends = [self._listener]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        """Close everything; who comes now is refused."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(65_536):
                sink.sendall(content)
            sink.shutdown(socket.SHUT_WR)


def test_a_run_whose_server_is_gone_for_good_can_be_stopped(project: Project, model: SimulatedModel) -> None:
    managed = server.begin_managed()
    server.wait_until_ready(managed)
    assert managed.port is not None
    way = Way(managed.port)
    project.seeds(8)
    model.change(latency=3.0)
    run = project.start(model.url, "--shard-size", "2", "--concurrency", "4", PREFECT_API_URL=way.url)
    run.wait_for(lambda: model.stats()["in_flight"] == 4, "the first calls")
    way.cut()
    run.send(signal.SIGINT)
    stopped = run.wait()
    assert stopped.code == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert model.stats()["calls"] == model.stats()["completions"] == 4
    assert (project.report()["status"], project.report()["llm_calls"]) == ("interrupted", 4)
    model.change(latency=0.0)
    assert len(project.generate(str(project.folder / "seeds.jsonl"), model.url, shard_size=2)) == 8
    assert model.stats()["completions"] == 16


@pytest.mark.long
def test_a_run_in_a_home_that_cannot_be_written_goes_on_without_a_server(project: Project, model: SimulatedModel) -> None:
    project.seeds(3)
    ran = project.run(model.url, HOME="/dev/null", SDG_PREFECT_HOME="/dev/null/sdg_prefect")
    assert ran.code == 0, ran.stderr
    assert "Set SDG_PREFECT_HOME to a folder that can be written. The run goes on with no UI." in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(project.output()) == 3
