"""Automations on Prefect's server: runs whose process is gone are shown as crashed, and a webhook is told of what happens."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from prefect.automations import AutomationCore
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, CallWebhook, ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types import SecretDict
from pydantic import SecretStr

from sdg_prefect.engine.server import Server
from sdg_prefect.engine.telling import PREFIX
from sdg_prefect.engine.view import TAG

CRASHED = "sdg_prefect: runs whose process is gone"
_SILENCE = timedelta(minutes=5)
"""Flow runs send a heartbeat every three minutes, unless PREFECT_FLOWS_HEARTBEAT_FREQUENCY says otherwise."""
_WEBHOOK = "sdg-prefect-notifications"
_OF_A_RUN = """\
{"text": {{ event.payload.message | tojson }}, "event": {{ event.event | tojson }}, "run": {{ event.payload | tojson }}}"""
_OF_A_FLOW_RUN = """\
{"text": {{ (flow_run.name ~ ": " ~ flow_run.state.message) | tojson }}, "event": {{ event.event | tojson }}, "run": null}"""


async def set_up(server: Server, webhook: str | None, headers: dict[str, str], events: Iterable[str]) -> list[str]:
    """Make the automations on a server, or bring those that are there up to date, and return their names.

    Args:
        server: The server.
        webhook: Address that is told of what happens; None to tell nobody.
        headers: More headers of what is sent there.
        events: What it is told of; see ``setting_up.EVENTS``.
    """
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        wanted = [_crashed()]
        if webhook is not None:
            block = Webhook(url=SecretStr(webhook), headers=SecretDict({"Content-Type": "application/json", **headers}))
            block_id = await block.save(_WEBHOOK, overwrite=True)
            wanted += [_told(event, block_id) for event in events]
        async with get_client() as client:
            for automation in wanted:
                await _put(client, automation)
    return [automation.name for automation in wanted]


async def _put(client: PrefectClient, automation: AutomationCore) -> None:
    known = await client.read_automations_by_name(automation.name)
    if known:
        await client.update_automation(known[0].id, automation)
    else:
        await client.create_automation(automation)


def _crashed() -> AutomationCore:
    """Show a flow run as crashed from which nothing was heard for five minutes after a heartbeat."""
    trigger = EventTrigger(
        posture=Posture.Proactive,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        after={"prefect.flow-run.heartbeat"},
        # Any news: the ends of runs have many names.
        expect={"prefect.flow-run.*"},
        threshold=1,
        within=_SILENCE,
    )
    action = ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat for five minutes.")
    return _automation(CRASHED, trigger, action)


def _told(event: str, block_id: Any) -> AutomationCore:
    """Tell a webhook of an event."""
    if event == "crashed":
        match = {"prefect.resource.id": "prefect.flow-run.*"}
        related = {"prefect.resource.id": f"prefect.tag.{TAG}"}
        expected, payload = "prefect.flow-run.Crashed", _OF_A_FLOW_RUN
    else:
        match, related, expected, payload = {"prefect.resource.id": f"{PREFIX}.*"}, {}, f"{PREFIX}.{event}", _OF_A_RUN
    trigger = EventTrigger(
        posture=Posture.Reactive,
        match=match,
        match_related=related,
        expect={expected},
        threshold=1,
        within=timedelta(0),
    )
    return _automation(f"sdg_prefect: tell of runs: {event}", trigger, CallWebhook(block_document_id=block_id, payload=payload))


def _automation(name: str, trigger: EventTrigger, action: ActionTypes) -> AutomationCore:
    return AutomationCore(name=name, description="Made by 'sdg-prefect server setup'.", trigger=trigger, actions=[action])
