"""The commands, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import gc
import sys

import typer

from sdg_prefect import __version__
from sdg_prefect.cli import (
    check,
    deploy,
    explain,
    flows,
    past,
    plan,
    preview,
    publish,
    review,
    run,
    server,
    simulate,
    store,
    story,
)
from sdg_prefect.cli.console import say
from sdg_prefect.errors import SdgError

app = typer.Typer(
    name="sdg-prefect",
    help="Synthetic training data from YAML flows, run by Prefect.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
run.register(app)
check.register(app)
plan.register(app)
preview.register(app)
past.register(app)
review.register(app)
story.register(app)
publish.register(app)
store.register(app)
deploy.register(app)
flows.register(app)
explain.register(app)
simulate.register(app)
server.register(app)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version.")) -> None:
    """Synthetic training data from YAML flows, run by Prefect."""


_NEW_OBJECTS = 100_000
"""Objects that are made until the youngest are looked through for garbage: what is imported, which is most, lives to the end."""


def main() -> None:
    """Run the command line; what goes wrong on purpose is one clear line each, never a traceback."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        app()
    except SdgError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        say("interrupted.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    finally:
        # Python would look through everything once more before the process ends.
        gc.freeze()
