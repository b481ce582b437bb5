"""Who waits to be sent: the calls of one model, blocks taking turns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.models.completion import Request

if TYPE_CHECKING:
    from sdg_prefect.models.limiter import Lane

_LETTERS = 4
"""Characters to a token, before the reply says how many it were."""
_FEW = 16
"""Calls that wait for each that may be open, up to which blocks do not take turns any more."""


@dataclass(slots=True, eq=False)
class Permit:
    """The right to have one call open."""

    tokens_in: float
    """Taken to be in the prompt."""
    tokens_out: float = 0.0
    """Taken to be in the reply."""
    number: int = 0
    granted: asyncio.Future[None] | None = None
    """Where it has to be waited for."""
    shuns: Collection[Lane] = ()
    """Lanes where the call has just failed: it goes to others."""
    lane: Lane | None = None
    """Where the call goes, once that is known."""
    is_probe: bool = False
    """True if the call is let through to see whether the endpoint is back."""
    place: int = 0
    """Grows with each that waits."""
    line: deque[Permit] | None = None
    """Where it stands while it waits."""


class Queue:
    """The calls of one model that wait for any of its lanes, one for each endpoint.

    Calls of a block are served as they came. Blocks take turns, so that the last block of a flow finishes rows while the first
    one still has many to ask for. Once few wait, all are served as they came: what a first block still asks for then has the
    longest way to go, and the model would end up waiting for it. Calls that are tried again go before all others.
    """

    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self._came = 0
        self._again: deque[Permit] = deque()
        self._lines: dict[str, deque[Permit]] = {}
        """By block, the one whose turn it is first."""

    @property
    def size(self) -> int:
        """How many wait."""
        return len(self._again) + sum(map(len, self._lines.values()))

    def add(self, lane: Lane) -> None:
        """Let a lane serve those who wait."""
        self.lanes.append(lane)

    async def enter(self, request: Request, *, again: bool = False, shuns: Collection[Lane] = ()) -> Permit:
        """Wait until a call may be sent, to the lane with the most room if there is a choice.

        Args:
            request: What is asked.
            again: True if it was sent before: it then goes before those that were not.
            shuns: Lanes that it is not for.
        """
        counts = any(lane.rates.count_prompts for lane in self.lanes)
        permit = Permit(prompt_tokens(request) if counts else 0.0, shuns=shuns)
        if not self.size and (lane := self._roomiest(permit)) is not None:
            lane.grant(permit)
            return permit
        permit.granted = asyncio.get_running_loop().create_future()
        self._came += 1
        permit.place = self._came
        permit.line = self._again if again else self._lines.setdefault(request.block, deque())
        (permit.line.appendleft if again else permit.line.append)(permit)
        self.serve()
        try:
            await permit.granted
        except asyncio.CancelledError:
            if not permit.granted.cancelled() and permit.lane is not None:
                # It was granted a moment before.
                permit.lane.leave(permit)
            raise
        return permit

    def serve(self) -> None:
        """Let through who waits, as far as may be."""
        for lane in self.lanes:
            lane.limiter.serve()

    def first_for(self, lane: Lane) -> Permit | None:
        """Return who is next at a lane, forgetting who does not wait any more."""
        for line in (self._again, *self._in_turn()):
            while line and _is_over(line[0]):
                line.popleft()
            if line and lane not in line[0].shuns:
                return line[0]
            for permit in line:
                if lane not in permit.shuns and not _is_over(permit):
                    return permit
        return None

    def remove(self, permit: Permit) -> None:
        """Take out who is let through; then it is the turn of the next block."""
        assert permit.line is not None
        permit.line.remove(permit)
        for block, line in list(self._lines.items()):
            if line is permit.line or not line:
                del self._lines[block]
            if line is permit.line and line:
                self._lines[block] = line

    def settle(self) -> None:
        """Let those take any lane who shun all that are open."""
        is_open = [lane for lane in self.lanes if lane.room != 0]
        for permit in self._waiting():
            if all(lane in permit.shuns for lane in is_open):
                permit.shuns = ()

    def _in_turn(self) -> Collection[deque[Permit]]:
        """Return the lines of the blocks, the one to be served next first."""
        lines = self._lines.values()
        if len(lines) < 2 or self.size > _FEW * sum(lane.limiter.concurrency.limit for lane in self.lanes):
            return lines
        return sorted(lines, key=lambda line: line[0].place if line else 0)

    def _waiting(self) -> Iterator[Permit]:
        for line in (self._again, *self._lines.values()):
            yield from line

    def _roomiest(self, permit: Permit) -> Lane | None:
        """Return the lane that takes a call now and has the largest share of its limit free; one to be probed comes first."""
        free = [lane for lane in self.lanes if lane.takes(permit)]
        if len(free) < 2:
            return free[0] if free else None
        return max(free, key=lambda lane: (lane.room is not None, lane.limiter.share_free, -lane.sent / lane.limiter.most))


def prompt_tokens(request: Request) -> float:
    """Guess the tokens of a prompt from its length."""
    if isinstance(request.asked, str):
        return len(request.asked) / _LETTERS
    return sum(len(str(message.get("content") or "")) for message in request.messages or ()) / _LETTERS


def _is_over(permit: Permit) -> bool:
    """True if nobody waits for a permit any more."""
    return permit.granted is not None and permit.granted.done()
