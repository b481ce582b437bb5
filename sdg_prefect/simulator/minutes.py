"""Limits by the minute, and the headers that tell of them, as OpenAI's API has them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sdg_prefect.simulator import errors
from sdg_prefect.simulator.settings import SimulatorSettings


class _Allowance:
    """So much in a minute; what was used comes back steadily."""

    def __init__(self, word: str, per_minute: float) -> None:
        self.word = word
        self._limit = self._left = per_minute
        self._seen = time.monotonic()

    def missing(self, amount: float) -> float:
        """Return the seconds until there is so much."""
        now = time.monotonic()
        self._left = min(self._limit, self._left + (now - self._seen) * self._limit / 60)
        self._seen = now
        return max(0.0, (min(amount, self._limit) - self._left) * 60 / self._limit)

    def take(self, amount: float) -> None:
        self._left -= amount

    def headers(self) -> Iterator[tuple[str, str]]:
        yield f"x-ratelimit-limit-{self.word}", f"{self._limit:.0f}"
        yield f"x-ratelimit-remaining-{self.word}", f"{max(0, int(self._left))}"
        yield f"x-ratelimit-reset-{self.word}", f"{(self._limit - self._left) * 60 / self._limit:.3f}s"


class Minutes:
    """What may still be asked in this minute. A call that is refused takes nothing."""

    def __init__(self, settings: SimulatorSettings) -> None:
        limits = {"requests": settings.requests_per_minute, "tokens": settings.tokens_per_minute}
        self._allowances = [_Allowance(word, limit) for word, limit in limits.items() if limit is not None]

    def admit(self, tokens: int) -> dict[str, str]:
        """Let a call through, and return the headers for its reply.

        Raises:
            ApiError: It is one too many.
        """
        amounts = {"requests": 1.0, "tokens": float(tokens)}
        wait = max((one.missing(amounts[one.word]) for one in self._allowances), default=0.0)
        if wait > 0:
            raise errors.too_many(wait, self._headers())
        for one in self._allowances:
            one.take(amounts[one.word])
        return self._headers()

    def _headers(self) -> dict[str, str]:
        return dict(header for one in self._allowances for header in one.headers())
