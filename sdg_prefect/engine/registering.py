"""Deployments on the Prefect server: made, or changed with care for what people did there."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.engine.deploying import ENTRYPOINT, FLOW, schedules_of
from sdg_prefect.engine.job_variables import fit_to_pool
from sdg_prefect.engine.server import ServerError, begin, check_installed, client_environment, wait_until_ready
from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import WorkPool
    from prefect.client.schemas.responses import DeploymentResponse


_CHANGE_FOLDER = "prefect.deployments.steps.set_working_directory"
Steps = Sequence[Mapping[str, Any]]
"""What the process of a run does first, as Prefect has it."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A deployment on the server."""

    page: str
    """Its page in the UI."""
    is_paused: bool
    """True if somebody has paused its schedule, or all of it, there, and it stays so."""


def register(entry: Mapping[str, Any]) -> Registered:
    """Make a deployment on the server, or change it.

    Args:
        entry: As ``entry_of`` returns it.

    Raises:
        FlowError: The pool is not there, or refuses it, or another flow has a deployment of that name.
        ServerError: The server does not answer.
    """
    check_installed()
    server = begin()
    wait_until_ready(server)
    os.environ.update(client_environment(server))
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as client:
        _register_block_types()
        pool = _pool(client, entry["work_pool"]["name"])
        before = _before(client, entry, _steps(pool))
        is_stopped = before is not None and bool(before.schedules) and not any(one.active for one in before.schedules)
        with _refusals_in_words():
            made = _create_patiently(client, entry, pool, is_active=not is_stopped)
    is_paused = is_stopped or (before is not None and before.paused)
    return Registered(f"{server.ui_url}/deployments/deployment/{made}", is_paused and bool(entry.get("schedules")))


def _before(client: SyncPrefectClient, entry: Mapping[str, Any], steps: Steps) -> DeploymentResponse | None:
    """Return the deployment as it is; None where it is new.

    Args:
        client: Asks the server.
        entry: What it is to be.
        steps: What its process is to do first.

    Raises:
        FlowError: It is one of another flow, for all deployments share one space of names.
    """
    from prefect.exceptions import ObjectNotFound

    name = f"{FLOW}/{entry['name']}"
    try:
        before = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None
    flow, (mine, *_) = _file(before.parameters, before.pull_steps or ()), entry["tags"]
    if mine in before.tags or flow in ("", _file(entry["parameters"], steps)):
        return before
    raise FlowError(
        [
            Problem(
                f"there is a deployment '{entry['name']}' of another flow, {flow}.",
                f"Give this one another --name, or remove that one: prefect deployment delete {shlex.quote(name)}",
            )
        ]
    )


def _steps(pool: WorkPool) -> list[dict[str, Any]]:
    """Return what the process of a run does first: those of a process pool begin in a folder of their own."""
    return [{_CHANGE_FOLDER: {"directory": os.getcwd()}}] if pool.type == "process" else []


def _file(parameters: Mapping[str, Any], steps: Steps) -> str:
    """Return the flow file of a deployment, with the folder where it runs; empty where there is none."""
    folders = [str(step[_CHANGE_FOLDER]["directory"]) for step in steps if _CHANGE_FOLDER in step]
    return os.path.join(*folders, str(parameters["flow"])) if "flow" in parameters else ""


def _create_patiently(client: SyncPrefectClient, entry: Mapping[str, Any], pool: WorkPool, *, is_active: bool) -> Any:
    """Make a deployment, again as long as the server's database is busy.

    SQLite refuses a transaction at once that began by reading and was overtaken by another. The more a server has to do, the more
    often that happens to this long one; the few tries of Prefect's client, each after twice the pause of the last, can all fail.
    """
    from prefect.exceptions import PrefectHTTPStatusError
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    deadline = time.monotonic() + settings().server_timeout
    while True:
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
                return _create(client, entry, pool, is_active=is_active)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            if time.monotonic() > deadline:
                message = (
                    f"The Prefect server has been too busy for {settings().server_timeout:g} seconds to take the deployment."
                )
                raise ServerError(message, "Try again when fewer runs are at work, or let it use PostgreSQL.") from error


def _create(client: SyncPrefectClient, entry: Mapping[str, Any], pool: WorkPool, *, is_active: bool) -> Any:
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.utilities.callables import parameter_schema

    from sdg_prefect.engine.deployable import run_flow_file

    limit = entry.get("concurrency_limit")
    return client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=entry["name"],
        description=entry.get("description") or run_flow_file.description,
        tags=entry["tags"],
        schedules=schedules_of(entry, is_active=is_active),
        concurrency_limit=limit["limit"] if limit else None,
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]) if limit else None,
        parameters=entry["parameters"],
        work_pool_name=pool.name,
        entrypoint=ENTRYPOINT,
        parameter_openapi_schema=parameter_schema(run_flow_file).model_dump(exclude_unset=True),
        enforce_parameter_schema=True,
        pull_steps=_steps(pool),
        job_variables=fit_to_pool(entry["work_pool"]["job_variables"], pool),
    )


def _pool(client: SyncPrefectClient, name: str) -> WorkPool:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_work_pool(name)
    except ObjectNotFound:
        near = did_you_mean(name, [pool.name for pool in client.read_work_pools()])
        hint = near if near.startswith("Did") else f"Make it: prefect work-pool create {name} --type process"
        raise FlowError([Problem(f"there is no work pool '{name}'.", hint)]) from None


def _register_block_types() -> None:
    """Let the UI offer the block types of this package."""
    from sdg_prefect.engine.prefect_blocks import DataStore, LLMEndpoint

    for kind in (LLMEndpoint, DataStore):
        kind.register_type_and_schema()


@contextmanager
def _refusals_in_words() -> Iterator[None]:
    """Raise what the server or its client refuses as any other mistake of a user is raised."""
    from prefect.exceptions import PrefectHTTPStatusError

    try:
        yield
    except ValidationError as error:
        raise FlowError(f"Prefect refuses the deployment: {error.errors()[0]['msg']}.") from None
    except PrefectHTTPStatusError as error:
        told = error.response.json() if error.response.headers.get("content-type", "").startswith("application/json") else {}
        raise FlowError(f"Prefect refuses the deployment: {told.get('detail') or told or error.response.text}.") from error
