"""Endpoints, stores and values that Prefect's server keeps; their secrets are nowhere else."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import s3fs
from prefect.settings import PREFECT_API_URL, temporary_settings

from sdg_prefect.engine.prefect_blocks import DataStore, LLMEndpoint
from sdg_prefect.engine.server import begin_managed, wait_until_ready
from sdg_prefect.models.endpoint import Endpoint
from tests.e2e.servers import ask

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

KEY, SECRET = "sk-planted-0123456789", "planted-secret-0123456789"


@pytest.fixture
def api() -> Iterator[str]:
    """The API of the server that all tests share, which this process asks too."""
    server = begin_managed()
    wait_until_ready(server)
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server.api_url


def texts_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Go through all files of a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def told_by(api: str) -> Iterator[tuple[str, bytes]]:
    """Go through what the server shows of all runs."""
    for what in ("flow_runs", "task_runs", "artifacts", "logs", "deployments", "block_documents", "variables"):
        yield what, ask("POST", f"{api}/{what}/filter", json={"limit": 200}).content


def test_keys_and_credentials_are_used_and_written_nowhere(
    project: Project, model: SimulatedModel, bucket: str, api: str
) -> None:
    model.change(api_key=KEY)
    LLMEndpoint(model="openai/teacher", api_base=model.url, api_key=KEY, max_concurrency=7).save(
        "planted-teacher", overwrite=True
    )
    environment = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL") if name in os.environ}
    DataStore(
        place=f"s3://{bucket}/prefix",
        access_key_id=environment.get("AWS_ACCESS_KEY_ID", "planted"),
        secret_access_key=SECRET,
        region="us-east-1",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
    ).save("planted-bucket", overwrite=True)
    ask("POST", f"{api}/variables/", json={"name": "planted_column", "value": "question"})
    project.write("models.yaml", "teacher: {model: prefect:llm-endpoint/planted-teacher, timeout: 30}\n")
    project.write("flow.yaml", project.flow.read_text("utf-8").replace("[question]", "[prefect:variable/planted_column]"))
    s3fs.S3FileSystem().pipe_file(f"{bucket}/prefix/in.jsonl", json.dumps(project.documents(1)[0]).encode())
    store = "prefect:data-store/planted-bucket"
    places = ("--input", f"{store}/in.jsonl", "--output", f"{store}/out.jsonl", "--storage", f"{store}/store")
    nobodys = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": ""}
    ran = project.command("run", "flow.yaml", *places, "--json", **nobodys).wait()
    assert (ran.code, ran.report["rows_out"], ran.report["llm_calls"]) == (0, 1, 2), ran.stderr
    assert ran.report["output"] == f"s3://{bucket}/prefix/out.jsonl"
    assert project.command("report", "--storage", f"{store}/store", **nobodys).wait().code == 0

    s3fs.S3FileSystem().get(f"{bucket}/prefix/", str(project.folder / "copied"), recursive=True)
    for secret in (KEY.encode(), SECRET.encode()):
        assert secret not in (ran.stdout + ran.stderr).encode()
        assert [path for path, content in texts_below(project.folder) if secret in content] == []
        assert [what for what, content in told_by(api) if secret in content] == []


def test_what_the_server_does_not_have_is_told_with_what_it_has(project: Project, model: SimulatedModel, api: str) -> None:
    LLMEndpoint(model="simulated/teacher").save("near-teacher", overwrite=True)
    project.seeds(1)
    project.write("models.yaml", "teacher: prefect:llm-endpoint/near-taecher\n")
    ran = project.command("run", "flow.yaml", "--input", "seeds.jsonl", "--storage", "prefect:data-stor/x").wait()
    assert (ran.code, ran.stderr.count("\n")) == (2, 1)
    assert "'prefect:data-stor/x' cannot be the storage. Known: prefect:llm-endpoint/NAME for a model" in ran.stderr
    project.write("flow.yaml", project.flow.read_text("utf-8").replace("[answer]", "[prefect:variable/nobody_set_this]"))
    ran = project.command("check", "flow.yaml", "--input", "seeds.jsonl").wait()
    assert ran.code == 2
    assert "flow.yaml:10  there is no Prefect variable 'nobody_set_this'." in ran.stderr
    assert "model 'teacher': Prefect has no block 'llm-endpoint/near-taecher'. Did you mean 'near-teacher'?" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_block_has_all_fields_of_an_endpoint_and_hides_its_key(api: str) -> None:
    schema = LLMEndpoint.model_json_schema()
    assert set(schema["properties"]) == {*Endpoint.model_fields, "api_key"}
    assert schema["secret_fields"] == ["api_key"]
    assert DataStore.model_json_schema()["secret_fields"] == ["secret_access_key", "session_token"]
    assert all(field.get("description") for field in schema["properties"].values())
    made = LLMEndpoint(model="openai/gpt-4o-mini", api_key=KEY, price={"input": 1, "output": 2})
    made.save("planted-whole", overwrite=True)
    shown = ask("GET", f"{api}/block_types/slug/llm-endpoint/block_documents/name/planted-whole").content
    assert KEY.encode() not in shown
    assert KEY not in repr(made)
