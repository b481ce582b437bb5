"""Jobs as the real workers of Docker and Kubernetes pools make them of a deployment, before anything is started.

``make test-pools`` installs the workers and the schemas of Kubernetes.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, WorkPool
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from sdg_prefect.engine.deploying import Wanted, entry_of
from sdg_prefect.engine.job_variables import fit_to_pool
from sdg_prefect.engine.options import RunOptions
from tests.flows import ASK, PROMPT

kubernetes = pytest.importorskip("prefect_kubernetes.worker", exc_type=ImportError)
docker = pytest.importorskip("prefect_docker.worker", exc_type=ImportError)
schemas = pytest.importorskip("kubernetes_validate", exc_type=ImportError)

OWN = json.loads((Path(__file__).parents[2] / "deployments" / "kubernetes-pool.json").read_text("utf-8"))
IMAGE = "registry.example.com/sdg:1"


def prepared(folder: Path, worker: Any, template: dict[str, Any], others: dict[str, Any]) -> Any:
    """Return the configuration of a job, as a worker has made it when it is about to start it.

    Args:
        folder: An empty folder.
        worker: The class of the worker.
        template: The job template of its pool.
        others: Job variables of the deployment beside its image and environment.
    """
    (folder / "flow.yaml").write_text(ASK)
    (folder / "ask.yaml").write_text(PROMPT)
    (folder / "seeds.jsonl").write_text('{"document": "Cork floats."}\n')
    places = {"input": str(folder / "seeds.jsonl"), "output": "s3://rows/qa.parquet", "storage": "s3://rows/store"}
    options = RunOptions(flow=str(folder / "flow.yaml"), model="simulated/teacher", **places)
    wanted = Wanted("p", image=IMAGE, env={"AWS_ENDPOINT_URL": "http://s3:9000"}, variables=others)
    pool = WorkPool(name="p", type=worker.type, base_job_template=template, default_queue_id=uuid4())
    variables = fit_to_pool(entry_of(options, wanted)["work_pool"]["job_variables"], pool)

    async def go() -> Any:
        made = await worker.job_configuration.from_template_and_values(template, variables, client=get_client())
        made.prepare_for_flow_run(FlowRun(flow_id=uuid4(), name="small 2026-11-01 10:00"))
        return made

    # The worker hands its own settings on to the container.
    with temporary_settings({PREFECT_API_URL: "http://prefect:4200/api", PREFECT_HOME: folder}):
        return asyncio.run(go())


@pytest.mark.parametrize("is_own", [False, True], ids=["the pool's own template", "ours"])
def test_kubernetes_takes_the_job_and_it_has_what_the_deployment_says(tmp_path: Path, is_own: bool) -> None:
    template = OWN if is_own else kubernetes.KubernetesWorker.get_default_base_job_template()
    others = {"memory": "4Gi", "cpu": 2} if is_own else {"memory_limit": "4Gi", "memory_request": "4Gi", "cpu_request": 2}
    manifest = prepared(tmp_path, kubernetes.KubernetesWorker, template, others).job_manifest
    pod = manifest["spec"]["template"]["spec"]
    if not is_own:
        # They belong a level higher; Kubernetes passes over them here.
        assert (pod.pop("parallelism"), pod.pop("completions")) == (1, 1)
    schemas.validate(manifest, schemas.latest_version(), strict=True)
    (container,) = pod["containers"]
    assert (container["image"], container["args"]) == (IMAGE, ["prefect", "flow-run", "execute"])
    assert container["resources"] == {"limits": {"memory": "4Gi"}, "requests": {"cpu": "2", "memory": "4Gi"}}
    env = {one["name"]: one["value"] for one in container["env"]}
    assert (env["AWS_ENDPOINT_URL"], env["PREFECT_API_URL"]) == ("http://s3:9000", "http://prefect:4200/api")
    if is_own:
        assert env["PREFECT_HOME"] == "/data/prefect"
        assert container["envFrom"] == [{"secretRef": {"name": "sdg"}}]


def test_docker_gets_image_environment_memory_and_volumes(tmp_path: Path) -> None:
    template = docker.DockerWorker.get_default_base_job_template()
    made = prepared(tmp_path, docker.DockerWorker, template, {"mem_limit": "4g", "volumes": ["/srv/sdg:/data"]})
    assert (made.image, made.mem_limit, made.volumes) == (IMAGE, "4g", ["/srv/sdg:/data"])
    assert made.command == "prefect flow-run execute"
    assert made.env["AWS_ENDPOINT_URL"] == "http://s3:9000"
