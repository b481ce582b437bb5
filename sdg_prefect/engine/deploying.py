"""Deployments: a flow file with its options, as an entry of ``prefect.yaml``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from sdg_prefect.engine.flows import fit_for_prefect
from sdg_prefect.engine.job_variables import job_variables, refuse_keys
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.errors import FlowError, Problem

if TYPE_CHECKING:
    from prefect.client.schemas.actions import DeploymentScheduleCreate

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


def schedules_of(entry: Mapping[str, Any], *, is_active: bool = True) -> list[DeploymentScheduleCreate]:
    """Return the schedules of an entry as Prefect has them.

    Args:
        entry: As ``entry_of`` returns it.
        is_active: False for schedules that wait until somebody starts them.

    Raises:
        FlowError: One cannot be read.
    """
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import construct_schedule

    made = []
    for given in entry.get("schedules", ()):
        try:
            made.append(DeploymentScheduleCreate(schedule=construct_schedule(**given), active=is_active))
        except ValueError as error:
            kind, value = next(iter(given.items()))
            said = error.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(error, ValidationError) else str(error)
            raise FlowError([Problem(f"--{kind} '{value}' is not a schedule: {said}.", _EXAMPLES[kind])]) from None
    return made
