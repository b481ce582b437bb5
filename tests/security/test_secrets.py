"""Secrets of the environment, the flow and the endpoint are used, and are nowhere afterwards, whatever the endpoint says."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import readable
from sdg_prefect.spec.reader import scan_flow
from tests.e2e.conftest import Project
from tests.e2e.history import History

KEY, QUERY, PASSWORD, HEADER, OTHER = (f"planted-{what}-0123456789" for what in ("key", "query", "password", "header", "other"))
SECRETS = {
    "key": KEY,
    "query": QUERY,
    "password": PASSWORD,
    "header": HEADER,
    "another variable": OTHER,
    "password on the wire": b64encode(f"me:{PASSWORD}".encode()).decode(),
}


REPLY = {
    "model": "teacher",
    "choices": [{"message": {"content": "[Start of Question]Why?[End of Question]"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1},
}


class Talkative(BaseHTTPRequestHandler):
    """An endpoint that says in its failures all that it got. One row gets as far as the second block."""

    def do_GET(self) -> None:
        self._say(200, {"object": "list", "data": [{"id": "teacher", "object": "model"}]})

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        told = " ".join(self.headers.get(name, "nothing") for name in ("Authorization", "X-Team"))
        heard.append(f"{told} {self.path}")
        if b"Island 1" in asked and "X-Team" in self.headers:
            self._say(200, REPLY)
            return
        self._say(400, {"error": {"message": f"I do not like {told} at {self.path} at all", "code": 400}})

    def _say(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


heard: list[str] = []
"""What was sent to it."""


@contextmanager
def talkative() -> Iterator[int]:
    """Serve it, and give its port."""
    heard.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Talkative) as endpoint:
        serving = threading.Thread(target=endpoint.serve_forever)
        serving.start()
        try:
            yield endpoint.server_port
        finally:
            endpoint.shutdown()
            serving.join()


@pytest.mark.e2e
def test_no_secret_is_left_by_a_run_of_an_endpoint_that_repeats_all(
    project: Project, history: History, tried: Callable[[str, int], None]
) -> None:
    project.seeds(2)
    others = set(project.folder.parent.iterdir())
    flow = project.flow.read_text("utf-8").replace("reply.yaml, model_id: teacher", "reply.yaml, model_id: other")
    project.write(
        "flow.yaml", flow.replace("block_name: ask", "block_name: ../../ask").replace("name: small", "name: '../../{small}'")
    )
    with talkative() as port:
        project.write(
            "models.yaml",
            f"""
teacher:
  model: teacher
  api_base: http://127.0.0.1:{port}/v1?api-key={QUERY}
  api_key_env: PLANTED_KEY
  params: {{extra_headers: {{X-Team: "team ${{PLANTED_HEADER}}"}}}}
other: {{model: teacher, api_base: "http://me:{PASSWORD}@127.0.0.1:{port}/v1"}}
""",
        )
        planted = {"PLANTED_KEY": KEY, "PLANTED_HEADER": HEADER, "PLANTED_OTHER": OTHER, "OPENAI_API_KEY": OTHER}
        usual = ("flow.yaml", "--input", "seeds.jsonl", "--storage", "store")
        ran = project.command("run", *usual, "--output", "out.jsonl", "--json", **planted).wait()
        said = [ran]
        said.append(project.command("preview", *usual, "-n", "1", "--storage", "other", **planted).wait())
    assert (ran.code, ran.report["rows_rejected"]) == (1, 2), ran.stderr
    assert {KEY, HEADER, QUERY, SECRETS["password on the wire"]} <= {
        word for word in SECRETS.values() if any(word in line for line in heard)
    }
    said += [
        project.command(*words, "--storage", "store").wait()
        for words in (("rejects", "--json"), ("lineage",), ("explain", project.rejects()[0]["row_id"]))
    ]
    whole = history.run(ran.report)
    ids = [one["id"] for one in history.family(whole)]
    shown = {
        "flow runs": history.family(whole),
        "task runs": history.all_tasks(ran.report),
        "artifacts": history.find("artifacts", artifacts={"flow_run_id": {"any_": ids}}),
        "logs": history.find("logs", logs={"flow_run_id": {"any_": ids}}),
        "events": history.events(ids),
        "terminal": [one.stdout + one.stderr for one in said],
    }
    assert "I do not like" in json.dumps(shown["artifacts"])
    places = {kind: json.dumps(content).encode() for kind, content in shown.items()}
    left = (path for store in ("store", "other") for path in (project.folder / store).rglob("*"))
    places |= {str(path): path.read_bytes() for path in left if path.is_file()}
    found = [(what, place) for what, secret in SECRETS.items() for place, content in places.items() if secret.encode() in content]
    assert found == []
    # Names are no paths.
    made = {path.name for path in {*project.folder.iterdir(), *project.folder.parent.iterdir()} - others}
    assert not [name for name in made if "ask" in name and name != "ask.yaml"]
    tried("secrets times places where they could be", len(SECRETS) * len(places))


@pytest.mark.parametrize(
    "address",
    [
        f"https://me:{PASSWORD}@host/v1",
        f"https://host/v1?api-key={QUERY}",
        f"https://host/v1?a=b&sig={QUERY}#x",
        f"me:{PASSWORD}@host:8000",
        f"https://me%40x:{PASSWORD}@host/v1?x={QUERY}",
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(address: str) -> None:
    endpoint = Endpoint(model="m", api_base=address)
    assert PASSWORD not in endpoint.shown_address
    assert QUERY not in endpoint.shown_address
    assert "host" in endpoint.shown_address


def test_a_message_repeats_no_secret_of_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_KEY", KEY)
    monkeypatch.setenv("PLANTED_HEADER", HEADER)
    endpoint = Endpoint(
        model="m",
        api_base=f"https://me:p%40{PASSWORD}@host/v1?api-key={QUERY}",
        api_key_env="PLANTED_KEY",
        params={"extra_headers": {"X-Team": "${PLANTED_HEADER}"}},
    )
    said = readable(f"{KEY} p%40{PASSWORD} p@{PASSWORD} {QUERY} {HEADER} words", endpoint.secrets())
    assert not any(secret in said for secret in SECRETS.values())
    assert said.endswith("words")


@pytest.mark.parametrize("where", ["models", "gen_kwargs"])
def test_a_header_of_a_flow_keeps_the_name_of_its_variable(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header = 'extra_headers: {X-Team: "${PLANTED_HEADER}"}'
    models = f"models: {{t: {{model: simulated/t, params: {{{header}}}}}}}" if where == "models" else "models: {t: simulated/t}"
    sampling = f"\n  gen_kwargs: {{{header}}}" if where == "gen_kwargs" else ""
    (tmp_path / "prompt.yaml").write_text("generation: x\nstart_tags: ['']\nend_tags: ['']\n")
    (tmp_path / "flow.yaml").write_text(
        f"{models}\nblocks:\n- block_type: LLMBlock\n  block_config: {{block_name: a, config_path: prompt.yaml, model_id: t, output_cols: [x]}}{sampling}\n"
    )
    unset = [str(problem) for problem in scan_flow(tmp_path / "flow.yaml").errors]
    assert ["PLANTED_HEADER is not set" in problem for problem in unset] == [True]
    monkeypatch.setenv("PLANTED_HEADER", HEADER)
    reading = scan_flow(tmp_path / "flow.yaml")
    assert reading.errors == []
    assert HEADER not in repr(reading.flow)
    assert "${PLANTED_HEADER}" in repr(reading.flow)


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "MY_SECRET", "DB_PASSWORD", "HUB_ACCESS_TOKEN", "AWS_CREDENTIALS"])
def test_a_variable_that_sounds_like_a_key_is_no_value_of_a_flow(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, KEY)
    (tmp_path / "flow.yaml").write_text(
        f"description: ${{{name}}}\nblocks:\n- block_type: DropDuplicates\n  block_config: {{block_name: a, columns: [x]}}\n"
    )
    (problem,) = scan_flow(tmp_path / "flow.yaml").errors
    assert f"flow.yaml:1  the variable {name} holds a key" in str(problem)
    assert KEY not in str(problem)
