"""What the environment decides: folders, defaults and limits, read from ``SDG_PREFECT_*`` variables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sdg_prefect.errors import FlowError, Problem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_PREFIX = "SDG_PREFECT_"
_ALIKE = 0.85
"""How much of a name has to agree for it to be a slip of the pen."""


class Settings(BaseSettings):
    """Defaults that a user may set for a machine, a container or a worker."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, frozen=True)

    home: Path = Field(default_factory=lambda: user_data_path("sdg_prefect"))
    """Folder of the managed local Prefect server: its database, log and address."""
    storage: str = ".sdg"
    """Where shards, ledger and runs are kept, unless ``--storage`` says otherwise."""
    concurrency: int = Field(default=64, ge=1)
    """Calls in flight for each endpoint that sets no limit of its own."""
    call_attempts: int = Field(default=5, ge=1)
    """How often a call is tried inside a shard before its failure is reported."""
    call_backoff: float = Field(default=0.5, ge=0)
    """Seconds before the second attempt of a call; doubles each time, with full jitter."""
    call_backoff_max: float = Field(default=30.0, ge=0)
    """Longest wait in seconds between two attempts, unless the endpoint asks for more."""
    endpoint_probes: int = Field(default=8, ge=1)
    """Probes in vain after which an endpoint that is out is given up; the pauses before them grow as those between attempts."""
    batch_quiet: float = Field(default=10.0, ge=0)
    """Seconds without a new request after which those that wait go to the provider as a batch."""
    batch_patience: float = Field(default=600.0, ge=0)
    """Longest wait in seconds for more requests of a batch while other endpoints are being called, which may lead to some."""
    batch_poll: float = Field(default=5.0, ge=0)
    """Seconds until a batch is looked at for the first time; the pauses after that grow."""
    batch_poll_max: float = Field(default=60.0, ge=0)
    """Longest pause in seconds between two looks at a batch."""
    batch_requests: int = Field(default=50_000, ge=1)
    """Requests in a batch at most; providers that speak the OpenAI protocol take no more than 50,000."""
    batch_bytes: int = Field(default=200_000_000, ge=1)
    """Bytes of the file of a batch at most; providers that speak the OpenAI protocol take no more than 200 MB."""
    task_retries: int = Field(default=2, ge=0)
    """How often Prefect tries a shard again whose calls failed for a passing reason."""
    task_backoff: float = Field(default=2.0, ge=0)
    """Seconds before Prefect's first retry of a shard; doubles each time, with jitter."""
    drain_seconds: float = Field(default=10.0, ge=0)
    """Longest wait in seconds for the calls in flight when a run is stopped."""
    driver_host: str = ""
    """Name or address under which the workers of a cluster reach this process; found out by itself if empty."""
    driver_port: int = Field(default=0, ge=0, le=65535)
    """Port at which they reach it; any that is free if 0."""
    patience_seconds: int = Field(default=7 * 24 * 3600, ge=1)
    """Seconds that a run waits for a person: for a decision on its rows, or to be resumed where it was suspended."""
    telemetry: bool = False
    """True to send traces and metrics over OpenTelemetry, where its own variables ``OTEL_*`` say; nothing is sent otherwise."""
    server_port: int = Field(default=4200, ge=1, le=65535)
    """Port of the managed local Prefect server; the next free one is taken if it is in use."""
    server_timeout: float = Field(default=180.0, gt=0)
    """Seconds to wait for the managed server to answer."""


@cache
def settings() -> Settings:
    """Return the settings of this process.

    Raises:
        FlowError: A variable has a value that makes no sense, or is most likely a slip of the pen.
    """
    problems = list(_slips())
    try:
        found = Settings()
    except ValidationError as error:
        problems += map(_misfit, error.errors())
    if problems:
        raise FlowError(problems)
    return found


def _misfit(error: ErrorDetails) -> Problem:
    wanted = error["msg"].removeprefix("Input should be ").partition(",")[0]
    return Problem(
        f"the environment variable {_PREFIX}{str(error['loc'][0]).upper()} has to be {wanted}, and is '{error['input']}'."
    )


def _slips() -> Iterator[Problem]:
    """Give the variables whose names are close to one of ours; others may be somebody else's."""
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        name = variable.removeprefix(_PREFIX)
        if variable.startswith(_PREFIX) and name not in known and (near := get_close_matches(name, known, 1, _ALIKE)):
            yield Problem(f"the environment variable {variable} says nothing.", f"Did you mean '{_PREFIX}{near[0]}'?")
