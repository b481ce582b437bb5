"""Workers that share nothing with the run but a network: each has a network namespace and a disk of its own, as on a machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.errors import SdgError
from tests.e2e.commands import user_environment, wait_for
from tests.e2e.conftest import beside
from tests.e2e.test_dask import FLOW, SHOUT, answered, undisturbed
from tests.s3 import S3Server, leading_to

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytest.importorskip("prefect_dask", reason="the extra 'dask' is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("several machines"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="namespaces need root, and ip of iproute2"
    ),
]

BRIDGE = "sdgbridge"
HERE = "10.77.0.1"
"""The address of the run, of the scheduler and of S3, as the machines see them."""


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


@contextmanager
def network() -> Iterator[None]:
    """Have a network with this machine in it."""
    _ip("link", "add", BRIDGE, "type", "bridge")
    try:
        _ip("address", "add", f"{HERE}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield
    finally:
        _ip("link", "delete", BRIDGE)


@contextmanager
def machine(number: int) -> Iterator[str]:
    """Have a machine in that network; give the name of its namespace."""
    name, here, there = f"sdgmachine{number}", f"sdghere{number}", f"sdgthere{number}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        _ip("link", "set", here, "master", BRIDGE, "up")
        _ip("link", "set", there, "netns", name)
        _ip("-n", name, "address", "add", f"10.77.0.{number + 1}/24", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        _ip("netns", "delete", name)


@contextmanager
def worker(name: str, scheduler: str, hidden: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Have a worker of Dask on a machine, which has an empty disk where the run has its folder."""
    dask = f"{sys.executable} -m distributed.cli.dask_worker {scheduler} --nthreads 1 --no-nanny --no-dashboard"
    disk = f"mount -t tmpfs none {hidden} && cd {hidden} && export HOME={hidden} TMPDIR={hidden}"
    command = ["ip", "netns", "exec", name, "unshare", "--mount", "sh", "-c", f"{disk} && exec {dask} --local-directory {hidden}"]
    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def test_machines_that_share_only_s3_and_a_network_do_the_work_of_a_run_and_one_may_vanish(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client, LocalCluster

    project.write("flow.yaml", FLOW)
    load_own_blocks([str(project.write("shout_blocks.py", SHOUT))])
    documents = project.documents(24)
    expected = undisturbed(project, documents)
    model.change(latency=0.3)
    with ExitStack() as stack:
        stack.enter_context(network())
        s3 = stack.enter_context(S3Server(HERE))
        stack.enter_context(leading_to(s3.environment, monkeypatch))
        scheduler = stack.enter_context(
            LocalCluster(n_workers=0, host=HERE, dashboard_address=":0", silence_logs="ERROR")
        ).scheduler_address
        environment = {**user_environment(), **s3.environment}
        started = [
            stack.enter_context(worker(stack.enter_context(machine(number)), scheduler, project.folder, environment))
            for number in (1, 2)
        ]
        client = stack.enter_context(Client(scheduler, set_as_default=False))
        wait_for(lambda: len(client.scheduler_info()["workers"]) == 2, "two machines with a worker each", 60)

        with pytest.raises(SdgError, match=r"10\.77\.0\.\d.* does not see the store .*store.* --storage s3://BUCKET/PREFIX"):
            project.generate(documents, model.url, runner=f"dask={scheduler}")
        assert model.stats()["calls"] == 0

        def vanish() -> None:
            wait_for(lambda: sum(map(bool, client.processing().values())) == 2, "work on both machines", 60)
            wait_for(lambda: answered(model) >= 6, "the sixth reply", 60)
            os.killpg(started[0].pid, signal.SIGKILL)

        bucket = s3.new_bucket()
        options = {"runner": f"dask={scheduler}", "storage": f"s3://{bucket}/store", "shard_size": 3, "concurrency": 6}
        with beside(vanish):
            project.generate(documents, model.url, output=f"s3://{bucket}/out.jsonl", **options)
        assert started[0].poll() is not None
        assert s3.client.cat_file(f"{bucket}/out.jsonl") == expected
        assert answered(model) == 24 + len(expected.splitlines())
        assert model.stats()["peak_in_flight"] == 6
