"""A worker's line to its run, over which the block at work asks: the run makes the calls, and the worker needs no key."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.engine.runners.wire import Question, decode_answers
from sdg_prefect.errors import SdgError
from sdg_prefect.models.completion import Completion, Failure, Request

if TYPE_CHECKING:
    import httpx

PATIENCE = 60.0
"""Seconds for which a run that does not answer is called again; then it is thought to be gone."""
_LONGEST_PAUSE = 5.0
_OK, _NOT_YET, _OVER = 200, 202, 410


@dataclass(frozen=True, slots=True)
class Line:
    """Where the run of a shard is to be reached."""

    url: str
    token: str = field(repr=False)
    """Admits whoever works for this run."""
    job: str = ""
    """The shard."""


class LineDown(SdgError):
    """A worker cannot reach its run."""


class Caller:
    """Asks for one attempt at one shard."""

    def __init__(self, line: Line, aside: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Prepare to call; nothing is sent before the first question.

        Args:
            line: Where to.
            aside: Entered while answers are waited for, so that the worker does other work meanwhile.
        """
        self._line = line
        self._aside = aside
        self._attempt = secrets.token_hex(8)
        self._numbers = itertools.count()

    def ask(self, requests: Sequence[Request], again: Set[str]) -> Sequence[Completion | Failure]:
        """Send requests and wait for all answers; see ``Ask``.

        However often the line breaks, the run takes a question once, and its answers wait there.

        Raises:
            CancelledError: The run is stopping, or does not wait for this attempt any more.
            LineDown: The run is out of reach.
        """
        path = f"/asked/{self._line.job}/{self._attempt}/{next(self._numbers)}"
        question = Question(tuple(requests), frozenset(again) & {request.row_id for request in requests}).encode()
        with self._aside(), open_client(self._line) as client:
            reply = _persistently(lambda: client.post(path, content=question))
            while reply.status_code == _NOT_YET:
                reply = _persistently(lambda: client.get(path))
        if reply.status_code == _OVER:
            # The block's own handlers of exceptions are not meant.
            raise asyncio.CancelledError("the run does not wait for this shard any more")
        if reply.status_code != _OK:
            raise LineDown(f"the run answered {reply.status_code} to a worker: {reply.text[:200]}.")
        return decode_answers(reply.content)


def open_client(line: Line) -> httpx.Client:
    """Return a client that reaches the run, past all proxies."""
    import httpx

    return httpx.Client(base_url=line.url, headers={"Authorization": f"Bearer {line.token}"}, timeout=PATIENCE, trust_env=False)


def _persistently(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send until somebody answers, for as long as there is hope."""
    import httpx

    deadline, pause = time.monotonic() + PATIENCE, 0.1
    while True:
        try:
            return send()
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise LineDown(f"the run cannot be reached from this worker any more: {type(error).__name__}.") from error
        time.sleep(pause * random.uniform(0.5, 1))
        pause = min(_LONGEST_PAUSE, pause * 2)


def check_line(line: Line) -> None:
    """Find out whether the run can be reached from here.

    Raises:
        LineDown: It cannot.
    """
    import httpx

    try:
        with open_client(line) as client:
            status = client.get("/", timeout=10.0).status_code
    except httpx.TransportError as error:
        raise LineDown(f"the run cannot be reached at {line.url} ({type(error).__name__}).") from error
    if status != _OK:
        raise LineDown(f"at {line.url} there is something else than the run (it answered {status}).")
