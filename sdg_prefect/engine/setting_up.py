"""``server setup``: the way to the server's automations. Light until it has to be heavy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from sdg_prefect.engine.server import begin, client_environment, wait_until_ready
from sdg_prefect.errors import FlowError, did_you_mean
from sdg_prefect.models.connections import is_address

EVENTS = ("ended", "waits-for-review", "crashed", "too-many-rejects", "budget-used-up")
"""What a webhook can be told of: any end of a run, rows that wait for a decision, a run whose process is gone, and two ends that
``ended`` tells of too."""
USUAL = EVENTS[:3]


def set_up_server(webhook: str | None, headers: Sequence[str], events: Sequence[str]) -> list[str]:
    """Make automations on the server that PREFECT_API_URL names, or on the managed one, and return their names.

    Args:
        webhook: Name of the environment variable with the address that is told of what happens; None to tell nobody.
        headers: More headers, each as ``HEADER=VARIABLE``, the name of an environment variable.
        events: What it is told of, of ``EVENTS``; the usual ones where there are none.

    Raises:
        FlowError: The address, a header or an event is none; nothing was made.
        ServerError: The server cannot be had.
    """
    told, values = _checked(webhook, headers, events)
    server = begin()
    wait_until_ready(server)
    os.environ.update(client_environment(server))
    from sdg_prefect.engine.automations import set_up

    return asyncio.run(set_up(server, told, values, events or USUAL))


def _checked(webhook: str | None, headers: Sequence[str], events: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Check what a user wrote, and return the address and the values of the headers."""
    for event in events:
        if event not in EVENTS:
            raise FlowError(f"--on: there is no event '{event}'.", did_you_mean(event, EVENTS))
    if webhook is None:
        if headers or events:
            raise FlowError("nobody is told of anything without --webhook-env VARIABLE.")
        return None, {}
    if not is_address(address := _value(webhook, "--webhook-env")):
        raise FlowError(f"--webhook-env: the environment variable '{webhook}' holds no address.", "One begins with https://.")
    values = {}
    for given in headers:
        name, _, variable = given.partition("=")
        if not name or not variable:
            raise FlowError(f"--header-env: '{given}' does not say HEADER=VARIABLE.", "Such as Authorization=WEBHOOK_TOKEN.")
        values[name] = _value(variable, "--header-env")
    return address, values


def _value(variable: str, option: str) -> str:
    value = os.environ.get(variable, "")
    if not value:
        raise FlowError(f"{option}: the environment variable '{variable}' is not set.")
    return value
