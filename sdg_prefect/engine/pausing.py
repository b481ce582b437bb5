"""A flow run that is paused until somebody fills in a form in Prefect's UI."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Abort, ObjectNotFound
from prefect.input.run_input import RunInput, keyset_from_base_key
from prefect.states import Paused, Running
from prefect.utilities.engine import propose_state
from pydantic import Field

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.states import OWN_PAUSE
from sdg_prefect.settings import settings
from sdg_prefect.store.reviews import Review

BY_UI = "Prefect's UI"
_MOST_SHOWN = 3
_CELL = 100


class DecisionForm(RunInput):
    """What the UI asks."""

    decision: Literal["approve", "drop", "stop"] = Field(
        description="approve: all rows go on. drop: all but those named below. stop: the run ends here."
    )
    drop_rows: list[str] = Field(default=[], description="Ids of rows to drop.")
    drop_where: str = Field(default="", description="Condition on rows to drop, such as score|float < 3 or 'http' in answer.")
    note: str = Field(default="", description="Why, for the report.")


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
        state: State[Any] = Paused(
            timeout_seconds=settings().patience_seconds, pause_key=key, message=message, name="Waits for review"
        )
        keys = keyset_from_base_key(key)
        state.state_details.run_input_keyset = {str(name): one for name, one in keys.items()}
        try:
            async with get_client() as client:
                # Before the state: whoever sees that finds the form.
                await DecisionForm.with_initial_data(description=_text(review)).asave(keys, self._flow_run_id)
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


def _text(review: Review) -> str:
    """Write what the UI shows above the form."""
    lines = [f"**{review.problem}** Decide again.", ""] if review.problem else []
    lines += [f"{review.rows:,} rows of block `{review.block}` wait for your decision. {review.question}", ""]
    for row in review.shown[:_MOST_SHOWN]:
        cells = (f"{name}: {_short(value)}" for name, value in row.items() if name != "row id")
        lines.append(f"- `{row['row id']}` {'; '.join(cells)}")
    lines += ["", f"More of them, with their ids, are in this run's artifact whose key ends in *review-{review.block}*."]
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"
