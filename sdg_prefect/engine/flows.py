"""Flow runs made as the run goes: one for the YAML file, one for each pipeline."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, TypeVar, cast

import httpx
from prefect import Flow, tags
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, TagsContext
from prefect.exceptions import MissingContextError, PrefectHTTPStatusError
from prefect.logging import get_run_logger

from sdg_prefect.engine.log import logger
from sdg_prefect.engine.states import failed, stopped
from sdg_prefect.errors import SdgError
from sdg_prefect.settings import settings

T = TypeVar("T")

SERVER_LOST = (httpx.TransportError, PrefectHTTPStatusError)
"""What Prefect's client raises when its server is gone or broken."""


def run_logger() -> logging.Logger | logging.LoggerAdapter[logging.Logger]:
    """Return the log of the flow run that is on; the program's own where Prefect's server could not be told of the run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return logger


_REFUSED = re.compile("[/%&<>]")
"""What Prefect takes in no name of a flow."""


def fit_for_prefect(name: str) -> str:
    """Return a name that Prefect takes for a flow or a deployment."""
    return _REFUSED.sub("-", name)


class _ShownFlow(Flow[Any, Any]):
    """A flow whose parameters are there to be read."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return them as they are. Prefect would import FastAPI, which takes longer than a small run."""
        return parameters


async def as_flow(
    name: str,
    run_name: str,
    body: Callable[[], Coroutine[Any, Any, T]],
    flow_run_ids: list[str],
    parameters: Mapping[str, str] | None = None,
    tagged: Collection[str] = (),
    ended: Callable[[T], State[Any]] | None = None,
) -> T:
    """Run a body as a Prefect flow run. If the server is lost, the body still runs, and once only.

    Args:
        name: Name of the flow.
        run_name: Name of the run.
        body: What to run.
        flow_run_ids: Gets the id of the flow run.
        parameters: What the UI shows as the run's parameters.
        tagged: Tags of the flow run. Its task runs do not get them: Prefect would look up a limit for each.
        ended: Returns the state that shows what came of it; Completed by default.
    """
    outcome: list[T] = []
    failure: SdgError | asyncio.CancelledError | None = None
    began = False

    async def run(**shown: Any) -> State[Any] | None:  # noqa: ARG001 - for the UI
        nonlocal began, failure
        began = True
        context = FlowRunContext.get()
        if context is not None and context.flow_run is not None:
            flow_run_ids.append(str(context.flow_run.id))
        try:
            with TagsContext(current_tags=set()):
                outcome.append(await body())
        except (SdgError, asyncio.CancelledError) as error:
            # Handed to Prefect as a state, not as an exception: its log gets the message, not a trace, and a stop is no crash.
            failure = error
            return failed(error) if isinstance(error, SdgError) else stopped()
        return ended(outcome[0]) if ended is not None else None

    # Without a storage of its own each flow asks the server for the default one, though nothing is kept in it.
    flow = _ShownFlow(
        fn=run,
        name=fit_for_prefect(name),
        # Prefect takes it for a format string.
        flow_run_name=run_name.replace("{", "{{").replace("}", "}}"),
        validate_parameters=False,
        persist_result=False,
        result_storage=settings().home,
    )
    try:
        with tags(*tagged):
            state = await cast("Awaitable[State[Any]]", flow(**(parameters or {}), return_state=True))
    except SERVER_LOST as error:
        if began and not outcome and failure is None:
            raise
        logger.warning("Prefect's server does not answer (%s); the run goes on, its view may lack parts", type(error).__name__)
        if not began:
            return await body()
    else:
        if failure is None and not outcome:
            await state.aresult()
    if failure is not None:
        raise failure
    return outcome[0]
