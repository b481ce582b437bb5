"""Tokens, cost and time of calls that were not made yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.history import History
from sdg_prefect.engine.outlook import StepOutlook
from sdg_prefect.engine.rehearsal import Unasked
from sdg_prefect.frozen import canonical
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.pricing import price_of
from sdg_prefect.plan.plan import Step

_LETTERS = (5.0, 4.0, 3.0)
"""ASCII characters to a token of English prose: many, usual, few."""
_WIDE = (2.0, 1.0, 0.7)
"""The same for other scripts."""
_PER_PRICE = 1e6

FROM_TEXT = "Tokens in are counted from the prompts, at 3 to 5 letters a token."
FROM_REPLIES = "Tokens out and time go by the replies so far."
FROM_LIMIT = "Tokens out are bounded by max_tokens alone; after the first replies there is a better number."
FROM_RUN = "Tokens go by an earlier run of this flow."


@dataclass(frozen=True, slots=True)
class Estimator:
    """Fills in a step's tokens, cost and time."""

    endpoints: Mapping[str, Endpoint]
    concurrency: int
    history: History

    def fill(self, found: StepOutlook, step: Step, unasked: Unasked, replies: Sequence[Mapping[str, Any]]) -> list[str]:
        """Estimate a step whose calls are known or guessed.

        Args:
            found: The step's outlook, with its calls; gets the rest.
            step: The step.
            unasked: The prompts that could be written already.
            replies: Records of completions of the same prompt.

        Returns:
            What the numbers rest on.
        """
        endpoint = self.endpoints[step.models[0]]
        found.in_batches = endpoint.in_batches
        if not endpoint.in_batches:
            found.at_once = sum(min(one.max_concurrency or self.concurrency, self.concurrency) for one in endpoint.places)
        if found.calls.high == 0:
            return []
        earlier = self.history.block(step.label, "llm_calls")
        each_in, note_in = _tokens_in(step, unasked, replies, earlier)
        each_out, note_out = _tokens_out(step, unasked, replies, earlier)
        calls = found.calls
        found.tokens_in, found.tokens_out = calls.times(each_in), calls.times(each_out)
        price = price_of(endpoint)
        found.cost_usd = None
        if price is not None:
            paid_in = found.tokens_in.times(price.of_prompts(_cached_share(replies)))
            paid_out = found.tokens_out.times(price.output)
            found.cost_usd = (paid_in + paid_out).times(1 / _PER_PRICE)
        if found.at_once:
            # A batch does not tell how long the model took.
            timed = [reply for reply in replies if reply["seconds"]]
            waits = _each(timed, "seconds", 1) if timed else Guess(0, None, None)
            found.seconds = calls.times(waits).times(1 / found.at_once)
        return [note for note in (note_in, note_out) if note]


def _tokens_in(
    step: Step, unasked: Unasked, replies: Sequence[Mapping[str, Any]], earlier: Mapping[str, Any] | None
) -> tuple[Guess, str]:
    if replies:
        return _each(replies, "tokens_in", max(1, unasked.calls)), ""
    if unasked.calls:
        letters = unasked.characters - unasked.wide_characters
        low, likely, high = (
            (letters / narrow + unasked.wide_characters / wide) / unasked.calls
            for narrow, wide in zip(_LETTERS, _WIDE, strict=True)
        )
        return Guess(low, likely, high), FROM_TEXT
    if earlier:
        mean = earlier["tokens_in"] / earlier["llm_calls"]
        return Guess(mean / 2, mean, mean * 2), FROM_RUN
    return Guess(len(canonical(step.block.asks())) / _LETTERS[0], None, None), "Some prompts depend on replies to come."


def _tokens_out(
    step: Step, unasked: Unasked, replies: Sequence[Mapping[str, Any]], earlier: Mapping[str, Any] | None
) -> tuple[Guess, str]:
    most: float | None = step.block.most_tokens_per_call()
    if unasked.calls and unasked.most_tokens_out:
        most = unasked.most_tokens_out / unasked.calls
    if replies:
        return _each(replies, "tokens_out", max(1, unasked.calls)), FROM_REPLIES
    if earlier:
        mean = earlier["tokens_out"] / earlier["llm_calls"]
        return Guess(mean / 2, mean, mean * 2 if most is None else min(most, mean * 2)), FROM_RUN
    return Guess(0, None, most), FROM_LIMIT


def _cached_share(replies: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of the prompts' tokens that the provider had in its cache."""
    whole = sum(reply["tokens_in"] for reply in replies)
    return sum(reply.get("tokens_cached", 0) for reply in replies) / whole if whole else 0.0


def _each(replies: Sequence[Mapping[str, Any]], name: str, count: float) -> Guess:
    """Guess the amount of one call from those of a sample."""
    return Guess.of_sum([float(reply[name]) for reply in replies], count).times(1 / count)
