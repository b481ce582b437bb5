"""Which calls fail, and how: fixed by seed, prompt and attempt, so that a retry can succeed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sdg_prefect.simulator.chance import draw
from sdg_prefect.simulator.settings import SimulatorSettings


class Fault(StrEnum):
    """What goes wrong with a call."""

    RATE_LIMIT = "rate_limit"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"
    BROKEN_JSON = "broken_json"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one call."""

    fault: Fault | None
    delay: float
    """Seconds before the reply."""
    status: int
    """HTTP status of the reply."""


_CALM = Fate(fault=None, delay=0.0, status=200)


class Faults:
    """Decides the fate of calls and counts the attempts at each prompt."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._attempts: dict[str, int] = {}
        self._shares = tuple(
            (fault, share)
            for fault, share in (
                (Fault.RATE_LIMIT, settings.error_429_share),
                (Fault.SERVER_ERROR, settings.error_5xx_share),
                (Fault.TIMEOUT, settings.timeout_share),
                (Fault.MALFORMED, settings.malformed_share),
                (Fault.BROKEN_JSON, settings.broken_json_share),
            )
            if share
        )
        self._is_calm = not (self._shares or settings.refusal_share or settings.latency_jitter or settings.tail_share)
        self._calm = Fate(None, settings.latency, 200) if settings.latency else _CALM

    def next_fate(self, prompt_key: str) -> Fate:
        """Return the fate of the next attempt at this prompt."""
        if self._is_calm:
            return self._calm
        settings = self._settings
        attempt = self._attempts.get(prompt_key, 0)
        self._attempts[prompt_key] = attempt + 1
        if draw(settings.seed, prompt_key, "refusal") < settings.refusal_share:
            return Fate(Fault.REFUSAL, 0.0, 400)
        fault = self._fault(prompt_key, attempt)
        if fault is Fault.RATE_LIMIT:
            return Fate(fault, 0.0, 429)
        delay = self._delay(prompt_key, attempt)
        if fault is Fault.SERVER_ERROR:
            return Fate(fault, delay, 500 + (0, 2, 3)[int(draw(settings.seed, prompt_key, attempt, "5xx") * 3)])
        return Fate(fault, delay, 200)

    def _fault(self, prompt_key: str, attempt: int) -> Fault | None:
        """Return what goes wrong with this attempt, if anything does."""
        chance = draw(self._settings.seed, prompt_key, attempt, "fault")
        for fault, share in self._shares:
            if chance < share:
                return fault
            chance -= share
        return None

    def _delay(self, prompt_key: str, attempt: int) -> float:
        """Return the seconds this attempt takes."""
        settings = self._settings
        if draw(settings.seed, prompt_key, attempt, "tail") < settings.tail_share:
            return settings.tail_latency
        swing = settings.latency_jitter * (2.0 * draw(settings.seed, prompt_key, attempt, "jitter") - 1.0)
        return max(0.0, settings.latency + swing)
