"""``deploy``: let Prefect run a flow, by schedule or on demand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from sdg_prefect.cli.ages import seconds
from sdg_prefect.cli.console import say
from sdg_prefect.cli.options import takes
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError

_NAME = re.compile(r"[A-Za-z_][\w.]*")


class WhenFull(StrEnum):
    """What becomes of a run when there are as many as may be."""

    ENQUEUE = "enqueue"
    CANCEL_NEW = "cancel-new"


@takes(*RunOptions.model_fields)
def deploy(
    asked: RunOptions,
    pool: Annotated[str, typer.Option(help="The work pool whose workers run it.", metavar="NAME")],
    name: Annotated[str | None, typer.Option(help="Name of the deployment; the flow's if not given.", metavar="NAME")] = None,
    cron: Annotated[str | None, typer.Option(help='Run it at these times, as "0 3 * * *".', metavar="CRON")] = None,
    interval: Annotated[str | None, typer.Option(help="Run it this often, as 1h.", metavar="TIME")] = None,
    rrule: Annotated[
        str | None, typer.Option(help="Run it on these days, as an iCalendar rule: FREQ=WEEKLY;BYDAY=MO.", metavar="RULE")
    ] = None,
    concurrency_limit: Annotated[int, typer.Option(min=1, help="Runs of it at the same time at most.", metavar="N")] = 1,
    collision_strategy: Annotated[
        WhenFull, typer.Option(help="What becomes of a run beyond that: it waits, or is cancelled.")
    ] = WhenFull.ENQUEUE,
    image: Annotated[str | None, typer.Option(help="Image of its containers, in a Docker or Kubernetes pool.")] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="Environment variable of its runs; give it again for more.", metavar="NAME=VALUE")
    ] = None,
    job_variable: Annotated[
        list[str] | None,
        typer.Option(
            help="Variable of the pool's job template, as memory_limit=4Gi; give it again for more.", metavar="NAME=VALUE"
        ),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write it into this prefect.yaml instead of making it on the server.", metavar="FILE")
    ] = None,
) -> None:
    """Let Prefect run a flow, by schedule, from its UI, or from a program. The flow is checked as by run; nothing is called."""
    from sdg_prefect.engine.deploying import FLOW, Wanted, entry_of, schedules_of
    from sdg_prefect.engine.deployment_file import write_entry
    from sdg_prefect.engine.job_variables import lost_with_container, refuse_blocks
    from sdg_prefect.engine.registering import register
    from sdg_prefect.spec.overrides import value_of

    wanted = Wanted(
        pool=pool,
        name=name,
        schedule=_schedule(cron, interval, rrule),
        runs_at_once=concurrency_limit,
        when_full="CANCEL_NEW" if collision_strategy is WhenFull.CANCEL_NEW else "ENQUEUE",
        image=image,
        env=_pairs("--env", env or ()),
        variables={name: value_of(text) for name, text in _pairs("--job-variable", job_variable or ()).items()},
    )
    entry = entry_of(asked, wanted)
    full_name = shlex.quote(f"{FLOW}/{entry['name']}")
    lost = " and ".join(lost_with_container(entry))
    if lost:
        say(f"warning: {lost} would be in the container, and go with it. Name places on s3://, or volumes of the pool.")
    if write is not None:
        schedules_of(entry)
        refuse_blocks(entry["work_pool"]["job_variables"])
        is_new = write_entry(write, entry)
        print(f"{write}: '{entry['name']}' {'added' if is_new else 'changed'}.")
        say(f"make it:   prefect --no-prompt deploy --prefect-file {write} --name {shlex.quote(str(entry['name']))}")
        return
    made = register(entry)
    print(made.page)
    if made.is_paused:
        say("paused:    somebody has paused it in the UI, and it stays so until it is started again there")
    say(f"a worker:  prefect worker start --pool {shlex.quote(pool)}")
    say(f"run it:    prefect deployment run {full_name}")


def _schedule(cron: str | None, interval: str | None, rrule: str | None) -> Mapping[str, Any]:
    given = {"cron": cron, "interval": interval, "rrule": rrule}
    chosen: dict[str, Any] = {kind: text for kind, text in given.items() if text is not None}
    if len(chosen) > 1:
        raise FlowError(f"a deployment has one schedule, and these are {len(chosen)}.", "Give --cron, --interval or --rrule.")
    if empty := [kind for kind, text in chosen.items() if not text.strip()]:
        raise FlowError(f"--{empty[0]} is empty.", "Leave it away for a deployment that is started by hand.")
    if interval is not None and not (span := seconds(interval, "--interval")):
        raise FlowError(f"--interval {interval}: a run cannot begin again after no time.", "Write a time such as 1h.")
    return {"interval": span} if interval is not None else chosen


def _pairs(option: str, texts: Sequence[str]) -> Mapping[str, str]:
    """Return values by name, each of which is written as NAME=VALUE."""
    pairs = [text.partition("=") for text in texts]
    if wrong := next((text for text, pair in zip(texts, pairs, strict=True) if not _NAME.fullmatch(pair[0]) or not pair[1]), ""):
        raise FlowError(f"{option} '{wrong}' is not of the form NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(deploy)
