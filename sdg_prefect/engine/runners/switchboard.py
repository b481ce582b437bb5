"""The run's end of the lines to its workers: an HTTP server that hands what their blocks ask to the gateway."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.engine.asking import Asking
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.runners.line import Line
from sdg_prefect.engine.runners.wire import Question, encode_answers
from sdg_prefect.models.completion import Completion, Failure

if TYPE_CHECKING:
    from aiohttp import web

_HOLD = 20.0
"""Seconds after which a question that has no answers yet is told to come again: what lies between may cut idle connections."""
_LARGEST = 4 * 1024**3
"""Bytes of one question at most: a shard's prompts."""

Answers = list[Completion | Failure]


@dataclass
class Job:
    """A shard at work on some worker, and what was asked for it."""

    asking: Asking
    attempts: list[str] = field(default_factory=list)
    """The latest is the one that is waited for: earlier ones were lost with their workers."""
    questions: dict[str, asyncio.Task[Answers]] = field(default_factory=dict)
    failure: Exception | None = None
    """Why a question has no answers, unless the run was stopping."""

    def is_over(self, attempt: str) -> bool:
        """True if the work on the shard was given to another worker since."""
        return attempt in self.attempts[:-1]

    def take(self, attempt: str, number: str, question: Question) -> asyncio.Task[Answers]:
        """Ask, unless the same question was taken already."""
        name = f"{attempt}/{number}"
        if name not in self.questions:
            is_new = attempt not in self.attempts
            if is_new and self.attempts:
                logger.warning("a worker was lost; its shard is done again on another one")
            before = [asked for other, asked in self.questions.items() if not other.startswith(f"{attempt}/")]
            self.attempts += [attempt] * is_new
            self.questions[name] = asyncio.ensure_future(self._answer(question, before, is_new=is_new))
            self.questions[name].add_done_callback(_look_at)
        return self.questions[name]

    async def _answer(self, question: Question, before: list[asyncio.Task[Answers]], *, is_new: bool) -> Answers:
        # What was asked for a worker that is lost comes to the ledger all the same; asked at once again it would be paid twice.
        if before:
            await asyncio.wait(before)
        if is_new:
            self.asking.begin()
        try:
            return await self.asking.complete(question.requests, question.again)
        except Exception as error:
            self.failure = self.failure or error
            raise


def _look_at(asked: asyncio.Task[Answers]) -> None:
    """Keep asyncio from telling of a failure that no worker came for; the run knows of it."""
    if not asked.cancelled():
        asked.exception()


class Switchboard:
    """Takes the questions of all workers of one run. Lives on its event loop."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(32)
        self._jobs: dict[str, Job] = {}
        self.url = ""

    @asynccontextmanager
    async def opened(self, host: str, port: int = 0) -> AsyncIterator[Switchboard]:
        """Listen for as long as this is entered.

        Args:
            host: By which name or address workers reach this machine. If it is none of the machine's own, as behind a
                translation of addresses, all of its addresses are listened at.
            port: The port; any that is free if 0.
        """
        from aiohttp import web

        app = web.Application(client_max_size=_LARGEST)
        app.router.add_get("/", self._greet)
        app.router.add_get("/asked/{job}/{attempt}/{number}", self._ask)
        app.router.add_post("/asked/{job}/{attempt}/{number}", self._ask)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            self.url = await _listen(runner, host, port)
            yield self
        finally:
            await runner.cleanup()

    @property
    def line(self) -> Line:
        """The line of a worker that has no shard yet."""
        return Line(self.url, self._token)

    @contextmanager
    def connected(self, asking: Asking) -> Iterator[tuple[Line, Job]]:
        """Take questions for a shard for as long as this is entered."""
        name, job = secrets.token_hex(8), Job(asking)
        self._jobs[name] = job
        try:
            yield Line(self.url, self._token, name), job
        finally:
            del self._jobs[name]

    def _is_admitted(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        return secrets.compare_digest(given, f"Bearer {self._token}".encode())

    async def _greet(self, request: web.Request) -> web.Response:
        from aiohttp import web

        return web.Response(status=200 if self._is_admitted(request) else 401)

    async def _ask(self, request: web.Request) -> web.Response:
        """Answer a question, or say that it has no answers yet, or that nobody waits for them any more."""
        from aiohttp import web

        if not self._is_admitted(request):
            return web.Response(status=401)
        try:
            asked = self._question(request, await request.read())
        except ValueError as error:
            return web.Response(status=400, text=str(error))
        if asked is None:
            return web.Response(status=410)
        await asyncio.wait([asked], timeout=_HOLD)
        if not asked.done():
            return web.Response(status=202)
        if asked.cancelled() or asked.exception() is not None:
            return web.Response(status=410)
        return web.Response(body=encode_answers(asked.result()), content_type="application/json")

    def _question(self, request: web.Request, content: bytes) -> asyncio.Task[Answers] | None:
        """Return what a worker asks or asked before; None where nobody waits for its work."""
        name, attempt, number = (request.match_info[part] for part in ("job", "attempt", "number"))
        job = self._jobs.get(name)
        if job is None or job.is_over(attempt):
            return None
        if request.method == "POST":
            return job.take(attempt, number, Question.decode(content))
        return job.questions.get(f"{attempt}/{number}")


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Listen at an address, and return it as workers call it."""
    from aiohttp import web

    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        # Only who has the token is answered.
        await web.TCPSite(runner, "::" if ":" in host else "0.0.0.0", port).start()  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
