"""Deployments: a flow file with its options, as an entry of ``prefect.yaml`` or on the Prefect server."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from sdg_prefect.engine.flows import fit_for_prefect
from sdg_prefect.engine.job_variables import fit_to_pool, job_variables, refuse_keys
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.server import ServerError, begin, check_installed, client_environment, wait_until_ready
from sdg_prefect.errors import FlowError, Problem, did_you_mean
from sdg_prefect.settings import settings

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.objects import WorkPool

ENTRYPOINT = "sdg_prefect.engine.deployable.run_flow_file"
FLOW = "run-flow-file"
_EXAMPLES = {
    "cron": 'Write one such as "0 3 * * *", and --timezone Europe/Berlin.',
    "rrule": 'Write one such as "FREQ=WEEKLY;BYDAY=MO", and --timezone Europe/Berlin.',
    "interval": "Write one such as 1h, and --timezone Europe/Berlin.",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a flow file is to be deployed."""

    pool: str
    """The work pool."""
    name: str | None = None
    """Name of the deployment; that of the flow if not given."""
    schedule: Mapping[str, Any] = field(default_factory=dict)
    """``cron``, ``interval`` in seconds, or ``rrule``; nothing to run it on demand only."""
    runs_at_once: int | None = 1
    """Runs at the same time at most."""
    when_full: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    """What becomes of a run beyond that."""
    image: str | None = None
    """The image of its container, in a pool of containers."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of its runs."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Other variables of the job template of its pool."""


def entry_of(options: RunOptions, wanted: Wanted) -> dict[str, Any]:
    """Check a flow as ``run`` does, and return its deployment as an entry of ``prefect.yaml``.

    Raises:
        FlowError: The flow or its options are wrong, or a key would stand in the deployment.
    """
    from sdg_prefect.engine.parameters import DeployedOptions

    problems = [
        Problem(f"a deployed run needs its {what}.", f"Name it with --{option}.")
        for option, what in (("input", "seeds"), ("output", "output"))
        if getattr(options, option) is None
    ]
    if wanted.name is not None and (not wanted.name.strip() or wanted.name != fit_for_prefect(wanted.name)):
        fit = fit_for_prefect(wanted.name).strip() or "nightly"
        problems.append(Problem(f"--name '{wanted.name}': Prefect takes no such name.", f"Write one such as '{fit}'."))
    if problems:
        raise FlowError(problems)
    variables = job_variables(wanted.image, wanted.env, wanted.variables)
    flow = _checked(options, is_elsewhere=wanted.image is not None)
    parameters = DeployedOptions(**options.model_dump(exclude_unset=True)).model_dump(mode="json", exclude_defaults=True)
    refuse_keys(parameters)
    zone = {"timezone": options.timezone} if options.timezone else {}
    return {
        "name": wanted.name or fit_for_prefect(flow.name),
        **({"description": flow.description} if flow.description else {}),
        "tags": [flow.name],
        "entrypoint": ENTRYPOINT,
        **({"schedules": [{**wanted.schedule, **zone}]} if wanted.schedule else {}),
        **({"concurrency_limit": _limit(wanted)} if wanted.runs_at_once else {}),
        "work_pool": {"name": wanted.pool, "job_variables": variables},
        "parameters": parameters,
        # In a container the files of the flow are those of its image.
        **({"pull": []} if wanted.image else {}),
    }


def _checked(options: RunOptions, *, is_elsewhere: bool) -> Any:
    """Return what a flow says, if nothing is wrong with it.

    Seeds of a day need not be there yet. Those of a container need not be seen from here, nor its output, but for its kind.
    """
    of_now = of_partition(options)
    is_unseen = of_now.input != options.input or (is_elsewhere and not os.path.exists(of_now.input))
    seen = {"input": None} if is_unseen else {}
    if not is_elsewhere:
        return prepare(of_now.model_copy(update=seen)).spec
    with TemporaryDirectory() as place:
        output = os.path.join(place, os.path.basename(str(of_now.output)))
        return prepare(of_now.model_copy(update={**seen, "output": output})).spec


def _limit(wanted: Wanted) -> dict[str, Any]:
    return {"limit": wanted.runs_at_once, "collision_strategy": wanted.when_full}


def schedules_of(entry: Mapping[str, Any]) -> list[DeploymentScheduleCreate]:
    """Return the schedules of an entry as Prefect has them.

    Raises:
        FlowError: One cannot be read.
    """
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import construct_schedule

    made = []
    for given in entry.get("schedules", ()):
        try:
            made.append(DeploymentScheduleCreate(schedule=construct_schedule(**given), active=True))
        except ValueError as error:
            kind, value = next(iter(given.items()))
            said = error.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(error, ValidationError) else str(error)
            raise FlowError([Problem(f"--{kind} '{value}' is not a schedule: {said}.", _EXAMPLES[kind])]) from None
    return made


def register(entry: Mapping[str, Any]) -> str:
    """Make a deployment on the server, or change it, and return its page in the UI.

    Args:
        entry: As ``entry_of`` returns it.

    Raises:
        FlowError: The pool is not there, or refuses it.
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
        with _refusals_in_words():
            made = _create_patiently(client, entry, pool)
    return f"{server.ui_url}/deployments/deployment/{made}"


def _create_patiently(client: SyncPrefectClient, entry: Mapping[str, Any], pool: WorkPool) -> Any:
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
                return _create(client, entry, pool)
        except PrefectHTTPStatusError as error:
            if error.response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            if time.monotonic() > deadline:
                message = (
                    f"The Prefect server has been too busy for {settings().server_timeout:g} seconds to take the deployment."
                )
                raise ServerError(message, "Try again when fewer runs are at work, or let it use PostgreSQL.") from error


def _create(client: SyncPrefectClient, entry: Mapping[str, Any], pool: WorkPool) -> Any:
    from prefect.client.schemas.objects import ConcurrencyOptions
    from prefect.utilities.callables import parameter_schema

    from sdg_prefect.engine.deployable import run_flow_file

    limit = entry.get("concurrency_limit")
    here = {"prefect.deployments.steps.set_working_directory": {"directory": os.getcwd()}}
    return client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=entry["name"],
        description=entry.get("description") or run_flow_file.description,
        tags=entry["tags"],
        schedules=schedules_of(entry),
        concurrency_limit=limit["limit"] if limit else None,
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]) if limit else None,
        parameters=entry["parameters"],
        work_pool_name=pool.name,
        entrypoint=ENTRYPOINT,
        parameter_openapi_schema=parameter_schema(run_flow_file).model_dump(exclude_unset=True),
        enforce_parameter_schema=True,
        # The processes of a worker begin in a folder of their own.
        pull_steps=[here] if pool.type == "process" else [],
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
