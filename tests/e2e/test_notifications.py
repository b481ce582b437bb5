"""What a webhook is told of, by automations on a real Prefect server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.servers import another_server, ask, is_answering

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

Told = list[tuple[dict[str, str], dict[str, Any]]]


@contextmanager
def webhook() -> Iterator[tuple[str, Told]]:
    """Serve an address, and keep the headers and the content of what is sent there."""
    told: Told = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            told.append((dict(self.headers), json.loads(content)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Hook) as hook:
        thread = threading.Thread(target=hook.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{hook.server_port}/hook", told
        finally:
            hook.shutdown()
            thread.join()


def test_a_webhook_is_told_how_a_run_ended_and_that_too_many_rows_were_rejected(project: Project, model: SimulatedModel) -> None:
    project.seeds(8)
    model.change(malformed_share=0.5)
    with another_server(project.folder / "prefect") as api_url, webhook() as (url, told):
        project.wait_for(lambda: is_answering(api_url), "the server's start")
        own = {
            "PREFECT_API_URL": api_url,
            "SDG_PREFECT_HOME": str(project.folder / "home"),
            "HOOK": url,
            "HOOK_TOKEN": "very-secret",
        }
        words = ("server", "setup", "--webhook-env", "HOOK", "--header-env", "X-Token=HOOK_TOKEN")
        events = ("--on", "ended", "--on", "too-many-rejects")
        for _ in range(2):
            done = project.command(*words, *events, **own).wait()
            assert done.code == 0, done.stderr
        made = ask("POST", f"{api_url}/automations/filter", json={}).json()
        assert sorted(one["name"] for one in made) == [
            "sdg_prefect: runs whose process is gone",
            "sdg_prefect: tell of runs: ended",
            "sdg_prefect: tell of runs: too-many-rejects",
        ]
        blocks = ask("POST", f"{api_url}/block_documents/filter", json={}).text
        assert "very-secret" not in blocks + json.dumps(made)
        assert url not in blocks

        ran = project.run(model.url, **own)
        assert (ran.code, ran.report["status"]) == (1, "completed_with_rejects"), ran.stderr
        project.wait_for(lambda: len(told) == 2, "both notifications", 60)
        heard = {content["event"]: (headers, content) for headers, content in told}
        headers, content = heard["sdg_prefect.run.ended"]
        assert headers["X-Token"] == "very-secret"
        assert content["run"]["run_id"] == ran.report["run_id"]
        assert content["run"]["rows_rejected"] == ran.report["rows_rejected"] > 0
        assert content["text"].startswith("small: completed with rejects: 8 rows in")
        assert_lineage(api_url, project, ran.report)
        _, content = heard["sdg_prefect.run.too-many-rejects"]
        assert content["text"] == f"small: {ran.report['rows_rejected']} rows were rejected, more than allowed."


def assert_lineage(api_url: str, project: Project, report: dict[str, Any]) -> None:
    """Check that the server knows what the output was made of, and by which flow run."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        asked = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}}
        found[:] = ask("POST", f"{api_url}/events/filter", json=asked).json()["events"]
        return bool(found)

    project.wait_for(is_there, "the event of the output", 30)
    (made,) = found
    assert made["resource"]["prefect.resource.id"] == (project.folder / "out.jsonl").as_uri()
    related = {one["prefect.resource.role"]: one["prefect.resource.id"] for one in made["related"]}
    assert related["asset"] == (project.folder / "seeds.jsonl").as_uri()
    assert related["flow-run"].startswith("prefect.flow-run.")
    assert (made["payload"]["rows"], made["payload"]["run"]) == (report["rows_out"], report["run_id"])


def test_what_is_wrong_with_a_webhook_is_told_before_anything_is_made(project: Project) -> None:
    for words, said in (
        (("--webhook-env", "NO_SUCH"), "the environment variable 'NO_SUCH' is not set"),
        (("--webhook-env", "HOME"), "the environment variable 'HOME' holds no address"),
        (("--webhook-env", "HOOK", "--on", "endet"), "there is no event 'endet'. Did you mean 'ended'?"),
        (("--webhook-env", "HOOK", "--header-env", "X-Token"), "'X-Token' does not say HEADER=VARIABLE"),
        (("--on", "ended"), "nobody is told of anything without --webhook-env"),
    ):
        ran = project.command("server", "setup", *words, HOOK="http://127.0.0.1:9/hook").wait()
        assert (ran.code, said in ran.stderr, "Traceback" in ran.stderr) == (2, True, False), ran.stderr
