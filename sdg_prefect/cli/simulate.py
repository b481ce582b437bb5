"""``simulate``: serve the simulated model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sdg_prefect.cli.console import say


def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    latency: Annotated[float, typer.Option(min=0, help="Seconds that a call takes.")] = 0.0,
    latency_jitter: Annotated[float, typer.Option(min=0, help="Seconds that the latency varies by.")] = 0.0,
    tail_share: Annotated[float, typer.Option(min=0, max=1, help="Share of slow calls.")] = 0.0,
    tail_latency: Annotated[float, typer.Option(min=0, help="Seconds that a slow call takes.")] = 0.0,
    error_429_share: Annotated[float, typer.Option(min=0, max=1, help="Share of calls answered 429.")] = 0.0,
    error_5xx_share: Annotated[float, typer.Option(min=0, max=1, help="Share of calls answered 500 or 503.")] = 0.0,
    timeout_share: Annotated[float, typer.Option(min=0, max=1, help="Share of calls never answered.")] = 0.0,
    malformed_share: Annotated[float, typer.Option(min=0, max=1, help="Share of replies without the tags asked for.")] = 0.0,
    broken_json_share: Annotated[float, typer.Option(min=0, max=1, help="Share of replies cut in the middle.")] = 0.0,
    refusal_share: Annotated[float, typer.Option(min=0, max=1, help="Share of prompts refused by a content filter.")] = 0.0,
    context_window: Annotated[int | None, typer.Option(min=1, help="Tokens that a prompt may have.")] = None,
    prompt_cache_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens that prompts have to begin with in common to be reported as cached.")
    ] = None,
    max_concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once, 429 beyond.")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(min=1, help="Calls in a minute, 429 beyond.")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(min=1, help="Tokens in a minute, 429 beyond.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Key that calls have to carry; a made-up one.")] = None,
    models: Annotated[list[str] | None, typer.Option(help="Model that is served; any if not given. May be repeated.")] = None,
    quota: Annotated[int | None, typer.Option(min=0, help="Calls until the quota is used up.")] = None,
    batch_seconds: Annotated[float, typer.Option(min=0, help="Seconds that a batch takes.")] = 0.0,
    batch_failed_share: Annotated[float, typer.Option(min=0, max=1, help="Share of requests in batches that fail.")] = 0.0,
    batch_expired_share: Annotated[float, typer.Option(min=0, max=1, help="Share of requests in batches that expire.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides which calls fail.")] = 0,
    replies: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Fixed replies: lines of {match, reply}.")
    ] = None,
    log: Annotated[Path | None, typer.Option(help="File that gets one line per call.")] = None,
) -> None:
    """Serve the simulated model over the OpenAI protocol, until Ctrl-C. It says plainly that it is simulated."""
    settings = {name: value for name, value in locals().items() if name not in ("port", "host") and value is not None}
    from pydantic import ValidationError

    from sdg_prefect.errors import FlowError
    from sdg_prefect.simulator import SimulatorSettings, serve

    try:
        serve(SimulatorSettings(**settings), host=host, port=port, on_ready=_ready)
    except ValidationError as error:
        raise FlowError(f"{error.errors()[0]['msg'].removeprefix('Value error, ')}.") from error
    except OSError as error:
        if error.filename is not None:
            raise FlowError(f"cannot open {error.filename}: {error.strerror}.") from error
        raise FlowError(
            f"cannot listen on {host}:{port}: {error.strerror or error}.", "Choose another --port or --host."
        ) from error
    except ValueError as error:
        raise FlowError(f"{error}.") from error


def _ready(url: str) -> None:
    say(f"simulated model at {url}  (Ctrl-C ends it)")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)
