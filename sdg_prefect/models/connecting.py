"""Which client serves an endpoint."""

from __future__ import annotations

from sdg_prefect.models.client import Client
from sdg_prefect.models.endpoint import Endpoint


def connect(endpoint: Endpoint) -> Client:
    """Make the client of an endpoint."""
    match endpoint.chosen_client:
        case "openai" if endpoint.in_batches:
            from sdg_prefect.models.batches.client import BatchClient

            return BatchClient(endpoint)
        case "openai":
            from sdg_prefect.models.openai_client import OpenAIClient

            return OpenAIClient(endpoint)
        case "pooling":
            from sdg_prefect.models.pooling_client import PoolingClient

            return PoolingClient(endpoint)
        case "mcp":
            from sdg_prefect.models.services.tools import ToolClient

            return ToolClient(endpoint)
        case "agent":
            from sdg_prefect.models.services.agents import AgentClient
            from sdg_prefect.models.services.kinds import find_agent

            return AgentClient(endpoint, find_agent(endpoint.agent))
        case _:
            from sdg_prefect.models.litellm_client import LitellmClient

            return LitellmClient(endpoint)
