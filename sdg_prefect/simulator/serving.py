"""Serving the simulated model: for ever, or on a thread for as long as it is needed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sdg_prefect.loops import run_to_end
from sdg_prefect.simulator.settings import SimulatorSettings
from sdg_prefect.simulator.tally import Entry

if TYPE_CHECKING:
    from sdg_prefect.simulator.server import SimulatedServer

T = TypeVar("T")


def serve(
    settings: SimulatorSettings,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a simulated model until the process is told to stop.

    Args:
        settings: What the model does.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        on_ready: Called with the base URL once requests are accepted.
    """
    from sdg_prefect.simulator.server import SimulatedServer

    async def serve_until_stopped() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        await _serve(SimulatedServer(settings), host, port, on_ready or _ignore, stopped)

    run_to_end(serve_until_stopped())


class SimulatedModel:
    """A simulated model that serves on a thread of its own.

    Example:
        ```python
        with SimulatedModel(SimulatorSettings(latency=0.1)) as server:
            print(server.url)
        ```
    """

    def __init__(self, settings: SimulatorSettings | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self._settings = settings or SimulatorSettings()
        self._host = host
        self._port = port
        self._url: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, name="simulated-model", daemon=True)
        self._server: SimulatedServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._url.result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._loop is not None and self._stopped is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:43210/v1`."""
        return self._url.result(timeout=0)

    @property
    def settings(self) -> SimulatorSettings:
        """What the model does at the moment."""
        return self._settings

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The bodies of the requests so far, when the settings say `record`."""
        return [entry.body for entry in self.journal if entry.body]

    @property
    def journal(self) -> list[Entry]:
        """The requests so far, with the times of their replies, when the settings say `record`."""
        return self._call(lambda server: [replace(entry) for entry in server.journal])

    def stats(self) -> dict[str, Any]:
        """Return the counts of calls, as `GET /stats` does."""
        return self._call(_counts)

    def change(self, **fields: Any) -> None:
        """Change some settings while the model is serving.

        Args:
            **fields: Fields of `SimulatorSettings` and their new values.
        """
        settings = SimulatorSettings.model_validate({**self._settings.model_dump(), **fields})
        self._call(lambda server: server.use(settings))
        self._settings = settings

    def _live(self) -> SimulatedServer:
        if self._server is None:
            raise RuntimeError("The simulated model is not serving: use it in a `with` block.")
        return self._server

    def _call(self, work: Callable[[SimulatedServer], T]) -> T:
        """Do something with the server on its own thread; once it has stopped, on this one."""
        server = self._live()
        if self._loop is None or self._loop.is_closed():
            return work(server)

        async def run() -> T:
            return work(server)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def _run(self) -> None:
        try:
            run_to_end(self._serve())
        except BaseException as error:
            if self._url.done():
                raise
            self._url.set_exception(error)

    async def _serve(self) -> None:
        from sdg_prefect.simulator.server import SimulatedServer

        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._server = SimulatedServer(self._settings)
        await _serve(self._server, self._host, self._port, self._url.set_result, self._stopped)


async def _serve(server: SimulatedServer, host: str, port: int, on_ready: Callable[[str], None], stopped: asyncio.Event) -> None:
    """Serve until stopped; calls that are still open are dropped."""
    from aiohttp import web

    runner = web.ServerRunner(
        web.Server(server.handle, handler_cancellation=True, access_log=None),
        shutdown_timeout=0.1,
        handle_signals=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        on_ready(f"http://{shown}:{bound}/v1")
        await stopped.wait()
    finally:
        await runner.cleanup()
        server.close()


def _counts(server: SimulatedServer) -> dict[str, Any]:
    return server.tally.as_dict()


def _ignore(url: str) -> None:
    """Take a base URL and do nothing with it."""
