"""A flow run that is paused, with its process waiting, until somebody fills in a form in Prefect's UI."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, ObjectNotFound
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Paused, Running
from prefect.utilities.engine import propose_state

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.forms import BY_UI, DecisionForm, question_of
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.states import OWN_PAUSE, WAITS_FOR_REVIEW
from sdg_prefect.settings import settings
from sdg_prefect.store.reviews import Review


class Gate:
    """Pauses one flow run, as often as it takes."""

    def __init__(self, flow_run_id: str, run_id: str) -> None:
        """Prepare; nothing is paused yet.

        Args:
            flow_run_id: The flow run; empty where Prefect's server shows none, and then nobody is asked there.
            run_id: The run, which makes the keys of its pauses unlike any other's.
        """
        self._flow_run_id = UUID(flow_run_id) if flow_run_id else None
        self._run_id = run_id
        self._times = 0
        self._keys: Any = None

    async def begin(self, review: Review) -> None:
        """Pause the flow run, unless it is; where that is not possible now, the next call tries again."""
        if self._flow_run_id is None or self._keys is not None:
            return
        self._times += 1
        message = f"{review.rows:,} rows of block '{review.block}' wait for a decision: resume the run to give it."
        key = f"{OWN_PAUSE}{self._run_id}-{review.review_id}-{self._times}"
        patience = settings().patience_seconds
        state: State[Any] = Paused(timeout_seconds=patience, pause_key=key, message=message, name=WAITS_FOR_REVIEW)
        keys = keyset_from_base_key(key)
        state.state_details.run_input_keyset = {str(name): one for name, one in keys.items()}
        try:
            async with get_client() as client:
                # Before the state: whoever sees that finds the form.
                await DecisionForm.with_initial_data(description=question_of(review)).asave(keys, self._flow_run_id)
                given = await propose_state(client, state, self._flow_run_id)
        except (Abort, *SERVER_LOST) as error:
            logger.debug("the flow run cannot be paused now: %s", error)
            return
        if given.is_paused() and given.state_details.pause_key == key:
            self._keys = keys

    async def answer(self) -> dict[str, Any] | None:
        """Return what somebody filled in, if the flow run was resumed; None as long as it was not."""
        if self._flow_run_id is None or self._keys is None:
            return None
        try:
            async with get_client() as client:
                if not await self._is_resumed(client, self._flow_run_id):
                    return None
                content = await client.read_flow_run_input(self._flow_run_id, self._keys["response"])
        except ObjectNotFound:
            content = "{}"
        except SERVER_LOST as error:
            logger.debug("Prefect's server does not say whether there is a decision: %s", type(error).__name__)
            return None
        self._keys = None
        return {**DecisionForm.model_validate_json(content).model_dump(), "by": BY_UI}

    async def end(self) -> None:
        """Let the flow run go on, if it is still paused for us."""
        if self._flow_run_id is None or self._keys is None:
            return
        self._keys = None
        try:
            async with get_client() as client:
                flow_run = await client.read_flow_run(self._flow_run_id)
                if flow_run.state is not None and flow_run.state.is_paused():
                    await client.set_flow_run_state(self._flow_run_id, Running(), force=True)
        except SERVER_LOST as error:
            logger.debug("Prefect's server could not be told that the run goes on: %s", type(error).__name__)

    @staticmethod
    async def _is_resumed(client: PrefectClient, flow_run_id: UUID) -> bool:
        flow_run = await client.read_flow_run(flow_run_id)
        return flow_run.state is not None and flow_run.state.is_running()
