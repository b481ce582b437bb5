"""``server``: the local Prefect server that runs start and share."""

from __future__ import annotations

from typing import Annotated

import typer

from sdg_prefect.cli.console import say
from sdg_prefect.engine.setting_up import EVENTS

server = typer.Typer(help="The local Prefect server, which shows runs in a browser and outlives them.", no_args_is_help=True)


@server.command()
def start() -> None:
    """Start it, or say where it is."""
    from sdg_prefect.engine.server import begin_managed, wait_until_ready

    begun = begin_managed()
    wait_until_ready(begun)
    print(begun.ui_url)


@server.command()
def status() -> None:
    """Say where it is."""
    from sdg_prefect.engine.server import status as look

    found = look()
    print(f"{found.ui_url}  (process {found.pid})" if found else "not running")


@server.command()
def stop() -> None:
    """End it. The history of runs stays."""
    from sdg_prefect.engine.server import stop as end

    say("stopped" if end() else "it was not running")


@server.command()
def setup(
    webhook: Annotated[
        str | None,
        typer.Option("--webhook-env", help="Environment variable with an address that gets a POST of JSON.", metavar="VARIABLE"),
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header-env", help="One more header, its value in an environment variable.", metavar="HEADER=VARIABLE"),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", help="What it is told of: " + ", ".join(EVENTS) + ". May be given several times.", metavar="EVENT"),
    ] = None,
) -> None:
    """Make automations on the Prefect server: runs whose process is gone are shown as crashed, and a webhook is told."""
    from sdg_prefect.engine.setting_up import set_up_server

    for name in set_up_server(webhook, header or [], on or []):
        say(name)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(server, name="server")
