"""Counting calls, and the log of them."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Entry:
    """One request to generate, in the order in which they came; kept when the settings say ``record``."""

    body: dict[str, Any]
    """The body of the request; empty until it was read."""
    began: float
    """When it came, on the clock of ``time.monotonic``."""
    ended: float | None = None
    """When its reply was ready, or when the client left; None while it is open."""
    status: int | None = None
    """HTTP status of the reply; 499 is a client that left."""


@dataclass(slots=True)
class Tally:
    """What the server has done since it started or was last reset."""

    calls: int = 0
    """Requests to generate, answered or not."""
    completions: int = 0
    """Texts that were generated."""
    batches: int = 0
    batch_requests: int = 0
    """Requests in those batches; they are not among the calls."""
    in_flight: int = 0
    peak_in_flight: int = 0
    by_status: Counter[str] = field(default_factory=Counter)
    """Finished calls by HTTP status; 499 is a client that left."""
    by_model: Counter[str] = field(default_factory=Counter)
    """Finished calls by model."""

    def begin(self) -> None:
        """Count a call that starts."""
        self.calls += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def end(self, model: str, status: int) -> None:
        """Count a call that is over."""
        self.in_flight -= 1
        self.by_status[str(status)] += 1
        if model:
            self.by_model[model] += 1

    def reset(self) -> None:
        """Start counting anew; calls in flight stay in flight."""
        self.calls = self.completions = self.batches = self.batch_requests = 0
        self.peak_in_flight = self.in_flight
        self.by_status.clear()
        self.by_model.clear()

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as plain values."""
        return {
            "calls": self.calls,
            "completions": self.completions,
            "batches": self.batches,
            "batch_requests": self.batch_requests,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "by_status": dict(self.by_status),
            "by_model": dict(self.by_model),
        }


def log_line(body: dict[str, Any], status: int) -> str:
    """Return the log's line for one request."""
    asked: dict[str, Any] = {key: body[key] for key in ("messages", "prompt", "input") if key in body}
    params = {key: value for key, value in body.items() if key not in asked and key != "model"}
    record: dict[str, Any] = {
        "time": time.time(),
        "model": body.get("model"),
        **asked,
        "params": params,
        "status": status,
    }
    return json.dumps(record, ensure_ascii=False) + "\n"
