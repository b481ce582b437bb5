"""``server``: the local Prefect server that runs start and share."""

from __future__ import annotations

import typer

from sdg_prefect.cli.console import say

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


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(server, name="server")
