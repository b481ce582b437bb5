"""The way from a decision on the command line to the suspended run that waits for it. Light until it has to be heavy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sdg_prefect.engine.server import client_environment, named_or_running
from sdg_prefect.errors import SdgError
from sdg_prefect.store.reviews import Review


def wake(review: Review, decision: Mapping[str, Any]) -> str:
    """Resume the run of a deployment that is suspended at a review, and say why that is left to a person; nothing if it is not.

    Args:
        review: What was asked.
        decision: What was decided.
    """
    if not review.flow_run_id:
        return ""
    by_hand = f"The run that waits has to be resumed by hand, at {review.ui_url}"
    try:
        server = named_or_running()
    except SdgError as error:
        return f"{by_hand}: {error}"
    if server is None:
        return f"{by_hand}, or set PREFECT_API_URL to its server and give the command again."
    os.environ.update(client_environment(server))
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from sdg_prefect.engine.answers import resume
    from sdg_prefect.engine.flows import SERVER_LOST

    try:
        with temporary_settings({PREFECT_API_URL: server.api_url}):
            return asyncio.run(resume(UUID(review.flow_run_id), decision))
    except SERVER_LOST as error:
        return f"{by_hand}: {server.api_url} does not answer ({type(error).__name__})."
