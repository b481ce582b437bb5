"""Which client serves an endpoint."""

from __future__ import annotations

from sdg_prefect.models.client import Client
from sdg_prefect.models.endpoint import Endpoint


def connect(endpoint: Endpoint) -> Client:
    """Make the client that an endpoint names."""
    if endpoint.client == "pooling":
        from sdg_prefect.models.pooling_client import PoolingClient

        return PoolingClient(endpoint)
    from sdg_prefect.models.litellm_client import LitellmClient

    return LitellmClient(endpoint)
