"""Whoever looks on while models are asked, and only looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError

Ended = Callable[[Completion | CallError | None], None]
"""Told how an attempt ended; None where it was given up."""


class Onlooker(Protocol):
    """Told about each attempt at an endpoint. On the run's event loop, in the context of who asks; it must return at once."""

    def call(self, request: Request, endpoint: Endpoint) -> Ended:
        """A call is sent; return who is told of its end."""
        ...

    def from_batch(self, request: Request, endpoint: Endpoint, outcome: Completion | CallError) -> None:
        """A request has come back from a batch."""
        ...


class Nobody:
    """Looks away."""

    def call(self, request: Request, endpoint: Endpoint) -> Ended:
        """Ignore."""
        return _ignored

    def from_batch(self, request: Request, endpoint: Endpoint, outcome: Completion | CallError) -> None:
        """Ignore."""


def _ignored(_outcome: Completion | CallError | None) -> None:
    """Ignore."""
