"""The contract of a client: one request in, one completion out, or one translated error."""

from __future__ import annotations

from typing import Protocol

from sdg_prefect.models.completion import Completion, Request


class Client(Protocol):
    """Calls one endpoint. It neither retries nor limits: the gateway does, so that it sees every failure."""

    async def complete(self, request: Request) -> Completion:
        """Make one attempt.

        Raises:
            CallError: The attempt failed; the verdict says what that means.
        """
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...
