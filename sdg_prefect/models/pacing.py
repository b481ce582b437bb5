"""The arithmetic of the limiter: how many calls may be open, and how much may be spent in a minute. Knows no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]

_FIRST = 16
"""Calls at once that every address is taken to bear."""
_CUT = 0.7
"""What is left of the calls at once after a refusal."""
_MOST_PATIENCE = 32
"""Windows at most until one call more than was last accepted is tried again."""
_HOLD = 60.0
"""So many times as long as a refusal cost, nothing more is tried than was accepted."""
_LONGEST_HOLD = 120.0
_BURST = 3.0
"""Seconds' worth of a minute's allowance that may be spent at once."""


class Concurrency:
    """How many calls may be open at once: more after answers, fewer after refusals (AIMD, RFC 5681 in spirit).

    Until the first refusal it doubles with each window of answers, a window being as many as may be open. A refusal tells what
    was accepted beside it, the ceiling. The limit is cut to a part of that, doubles again up to the ceiling, then grows by one
    call at a time. Where that one is refused, the next try waits twice as many windows.
    """

    def __init__(self, most: int, clock: Clock = time.monotonic) -> None:
        """Begin with few.

        Args:
            most: The limit is never above.
            clock: Tells the time in seconds.
        """
        self.limit = min(_FIRST, most)
        self._most = most
        self._ceiling = most
        self._floor = 1
        self._clock = clock
        self._sent = 0
        self._sent_at_cut = 0
        self._answered = 0
        self._patience = 1
        self._hold_until = 0.0

    @property
    def sent(self) -> int:
        """Number of the last call that was sent."""
        return self._sent

    @property
    def reach(self) -> int:
        """How many calls may be open a window of answers from now, if none is refused."""
        grown = min(2 * self.limit, self._ceiling) if self.limit < self._ceiling else self.limit + 1
        return min(grown, self._most)

    def send(self) -> int:
        """Number a call that is sent."""
        self._sent += 1
        return self._sent

    def note_answer(self, open_calls: int) -> None:
        """Learn from an answer.

        Args:
            open_calls: How many were open when it came, itself included; where more were allowed it proves nothing.
        """
        if open_calls < self.limit or self.limit >= self._most:
            return
        if self.limit < self._ceiling:
            self.limit += 1
            return
        self._answered += 1
        is_trying = self.limit > self._ceiling
        if self._answered < self.limit * (1 if is_trying else self._patience) or self._clock() < self._hold_until:
            return
        if is_trying:
            self._ceiling, self._patience = self.limit, 1
        self._answered = 0
        self.limit += 1

    def note_refusal(self, number: int, open_calls: int, rest: float = 0.0) -> None:
        """Learn from a refusal; those of calls that were sent before the last cut belong to the same burst.

        Args:
            number: The call.
            open_calls: How many were open when it came, itself included.
            rest: Seconds that the address asks to be left alone.
        """
        if number <= self._sent_at_cut:
            # Of one burst each refusal shows that one call less was accepted; a doubling explains no more than half of them.
            self._ceiling = max(self._floor, self._ceiling - 1)
            self.limit = min(self.limit, self._cut())
            return
        if self.limit > self._ceiling:
            self._patience = min(2 * self._patience, _MOST_PATIENCE)
        self._sent_at_cut, self._answered = self._sent, 0
        self._floor = max(1, open_calls // 2)
        self._ceiling = max(1, open_calls - 1)
        self._hold_until = self._clock() + min(_HOLD * rest, _LONGEST_HOLD)
        self.limit = self._cut()

    def _cut(self) -> int:
        return max(1, int(self._ceiling * _CUT))


class Bucket:
    """An allowance that comes in steadily (token bucket); what was taken may be corrected afterwards."""

    def __init__(self, per_second: float, most: float, clock: Clock = time.monotonic) -> None:
        """Begin with what may be spent at once.

        Args:
            per_second: What comes in.
            most: What may be spent at once.
            clock: Tells the time in seconds.
        """
        self._rate = per_second
        self._level = self._most = most
        self._clock = clock
        self._seen = clock()

    @classmethod
    def by_minute(cls, per_minute: float, clock: Clock = time.monotonic) -> Bucket:
        """Make the bucket of an allowance for a minute, of which some seconds' worth may be spent at once."""
        return cls(per_minute / 60, max(1.0, per_minute / 60 * _BURST), clock)

    def set(self, per_second: float, most: float, level: float) -> None:
        """Take what someone who knows says about it."""
        self._rate, self._most, self._level, self._seen = per_second, most, level, self._clock()

    def wait(self, amount: float) -> float:
        """Return the seconds until an amount may be taken; one that is larger than the bucket may be when that is full."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._seen) * self._rate)
        self._seen = now
        return max(0.0, (min(amount, self._most) - self._level) / self._rate)

    def take(self, amount: float) -> None:
        """Take an amount, or give back a negative one. The level may fall below nothing: what comes in pays that first."""
        self._level -= amount
