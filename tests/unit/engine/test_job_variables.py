"""What deployments give the jobs of their runs, beside the job templates of pools: those that Prefect brings, and our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from jsonschema import validate
from prefect.client.schemas.actions import DeploymentCreate
from prefect.client.schemas.objects import WorkPool
from prefect.server import api
from prefect.utilities.templating import apply_values, find_placeholders

from sdg_prefect.engine.job_variables import fit_to_pool, job_variables, lost_with_container, refuse_blocks
from sdg_prefect.errors import FlowError

DEPLOYMENTS = Path(__file__).parents[3] / "deployments"
PUBLISHED: dict[str, Any] = json.loads(
    (Path(api.__file__).parent / "collections_data" / "views" / "aggregate-worker-metadata.json").read_text("utf-8")
)
OWN: dict[str, Any] = json.loads((DEPLOYMENTS / "kubernetes-pool.json").read_text("utf-8"))
IMAGE = "registry.example.com/sdg:1"
OF_A_BLOCK = "{{ prefect.blocks.secret.openai }}"


def template(kind: str) -> dict[str, Any]:
    """Return the job template of a new pool of a type."""
    published = next(workers[kind] for workers in PUBLISHED.values() if kind in workers)
    found: dict[str, Any] = published["default_base_job_configuration"]
    return found


def pool(kind: str, given: dict[str, Any] | None = None) -> WorkPool:
    return WorkPool(name="p", type=kind, base_job_template=template(kind) if given is None else given, default_queue_id=uuid4())


def job(given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """Fill a job template in as a worker does."""
    properties = given["variables"]["properties"]
    defaults = {name: schema["default"] for name, schema in properties.items() if schema.get("default") is not None}
    filled: dict[str, Any] = apply_values(given["job_configuration"], {**defaults, **variables})
    return filled


@pytest.mark.parametrize(
    ("kind", "given", "others"),
    [
        ("docker", template("docker"), {"mem_limit": "4g", "volumes": ["/srv/sdg:/data"]}),
        ("kubernetes", template("kubernetes"), {"memory_limit": "4Gi", "cpu_request": 2, "finished_job_ttl": 600}),
        ("kubernetes", OWN, {"memory": "4Gi", "cpu": 2, "environment_from": "keys"}),
    ],
    ids=["docker", "kubernetes", "ours"],
)
def test_job_variables_are_those_of_the_template_and_reach_the_job(
    kind: str, given: dict[str, Any], others: dict[str, Any]
) -> None:
    made = fit_to_pool(job_variables(IMAGE, {"AWS_ENDPOINT_URL": "http://s3:9000"}, others), pool(kind, given))
    assert set(made) <= set(given["variables"]["properties"])
    validate(made, given["variables"])
    DeploymentCreate(name="d", flow_id=uuid4(), job_variables=made).check_valid_configuration(given)
    filled = job(given, made)
    if kind == "docker":
        assert (filled["image"], filled["mem_limit"], filled["volumes"]) == (IMAGE, "4g", ["/srv/sdg:/data"])
        return
    (container,) = filled["job_manifest"]["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]["AWS_ENDPOINT_URL"]) == (IMAGE, "http://s3:9000")
    assert (container["resources"]["requests"]["cpu"], container["resources"]["limits"]["memory"]) == ("2", "4Gi")
    if given is OWN:
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]


def test_our_template_names_its_own_variables_and_uses_each() -> None:
    used = {one.name for one in find_placeholders(OWN["job_configuration"])}
    assert used == set(OWN["variables"]["properties"])
    validate({name: one["default"] for name, one in OWN["variables"]["properties"].items() if "default" in one}, OWN["variables"])


@pytest.mark.parametrize("entry", yaml.safe_load((DEPLOYMENTS / "prefect.yaml").read_text("utf-8"))["deployments"])
def test_the_deployments_of_the_project_fit_a_pool_of_processes(entry: dict[str, Any]) -> None:
    variables = entry["work_pool"]["job_variables"]
    assert fit_to_pool(variables, pool("process")) == variables == job_variables(None, {}, {})


@pytest.mark.parametrize(
    ("kind", "image", "others", "line"),
    [
        ("kubernetes", IMAGE, {"memry_limit": "4Gi"}, "no such variable. Did you mean 'memory_limit'?"),
        ("docker", None, {}, "the work pool 'p' starts containers, and neither it nor the deployment says of which image."),
        ("process", IMAGE, {}, "the work pool 'p' is of type 'process', which has no images."),
    ],
)
def test_what_a_pool_would_pass_over_in_silence_is_told(kind: str, image: str | None, others: dict[str, Any], line: str) -> None:
    with pytest.raises(FlowError) as told:
        fit_to_pool(job_variables(image, {}, others), pool(kind))
    assert line in str(told.value)


def test_a_pool_may_know_the_image_and_a_new_one_may_have_no_template_yet() -> None:
    properties = {**OWN["variables"]["properties"], "image": {"type": "string", "default": IMAGE}}
    fit_to_pool(job_variables(None, {}, {}), pool("kubernetes", {**OWN, "variables": {"properties": properties}}))
    assert fit_to_pool(job_variables(IMAGE, {}, {"x": 1}), pool("kubernetes", {}))["x"] == 1


@pytest.mark.parametrize(
    ("env", "others", "option"),
    [
        ({"OPENAI_API_KEY": "x"}, {}, "--env OPENAI_API_KEY"),
        ({"AWS_SECRET_ACCESS_KEY": "x"}, {}, "--env AWS_SECRET_ACCESS_KEY"),
        ({"HF_TOKEN": "x"}, {}, "--env HF_TOKEN"),
        ({"password": f"x {OF_A_BLOCK}"}, {}, "--env password"),
        ({"DATABASE": "postgresql://me:secret@host/db"}, {}, "--env DATABASE"),
        ({}, {"registry_credentials": {"username": "me", "password": "x"}}, "--job-variable registry_credentials.password"),
        ({}, {"labels.token": 5}, "--job-variable labels.token"),
        ({}, {"volumes": ["a", "https://me:secret@host/x"]}, "--job-variable volumes"),
    ],
)
def test_a_key_is_refused_wherever_it_stands(env: dict[str, str], others: dict[str, Any], option: str) -> None:
    with pytest.raises(FlowError, match="a key must not stand in a deployment") as told:
        job_variables(IMAGE, env, others)
    assert str(told.value).startswith(f"{option}: ")
    assert "secret@" not in str(told.value)


def test_the_name_of_a_block_is_no_key_but_prefect_deploy_would_make_one_of_it() -> None:
    made = job_variables(None, {"OPENAI_API_KEY": OF_A_BLOCK, "KEYBOARD": "x", "ADDRESS": "http://[s3"}, {})
    assert made["env"]["OPENAI_API_KEY"] == OF_A_BLOCK
    with pytest.raises(FlowError, match="--env OPENAI_API_KEY: prefect deploy would write the value of this block"):
        refuse_blocks(made)
    refuse_blocks(job_variables(None, {"LEVEL": "{{ prefect.variables.level }}"}, {}))


def test_image_and_environment_have_options_of_their_own() -> None:
    with pytest.raises(FlowError) as told:
        job_variables(None, {}, {"image": "x", "env.A": "b"})
    assert [problem.hint for problem in told.value.problems] == ["Give --image.", "Give --env NAME=VALUE."]


@pytest.mark.parametrize(
    ("image", "env", "others", "parameters", "lost"),
    [
        (IMAGE, {}, {}, {"output": "rows.jsonl"}, ["the output", "the store"]),
        (IMAGE, {"SDG_PREFECT_STORAGE": "s3://rows/store"}, {}, {"output": "s3://rows/qa.parquet"}, []),
        (IMAGE, {}, {}, {"output": "prefect:data-store/rows/qa.parquet", "storage": "/data"}, ["the store"]),
        (IMAGE, {}, {"volumes": ["/srv/sdg:/data"]}, {"output": "/data/rows.jsonl"}, []),
        (None, {}, {}, {"output": "rows.jsonl"}, []),
    ],
)
def test_what_is_lost_with_a_container_is_told(
    image: str | None, env: dict[str, str], others: dict[str, Any], parameters: dict[str, str], lost: list[str]
) -> None:
    entry = {"work_pool": {"job_variables": job_variables(image, env, others)}, "parameters": parameters}
    assert lost_with_container(entry) == lost
