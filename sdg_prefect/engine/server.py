"""The Prefect server of a run: the user's own, or a local one that we start, attach to and leave running."""

from __future__ import annotations

import base64
import os
import ssl
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from importlib.metadata import version
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from sdg_prefect.engine.server_environment import client_environment
from sdg_prefect.engine.server_installed import InstalledSetError, check_installed
from sdg_prefect.engine.server_process import HOST, Address, ServerError, end, exclusive, last_words, log_file, spawn
from sdg_prefect.settings import settings

__all__ = [
    "InstalledSetError",
    "Server",
    "ServerError",
    "begin",
    "begin_managed",
    "check_installed",
    "client_environment",
    "is_answering",
    "named_or_running",
    "revive",
    "status",
    "stop",
    "wait_until_ready",
]

_TRIES = 3
_TRY_SECONDS = 1.5
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Server:
    """A Prefect server, which may still be starting."""

    api_url: str
    ui_url: str
    is_managed: bool
    """Started or attached to by us, rather than named by PREFECT_API_URL."""
    pid: int | None = None

    @property
    def port(self) -> int | None:
        """The port in its address."""
        return urlsplit(self.api_url).port


def begin() -> Server:
    """Return the server of this run without waiting for it to start.

    That is the one which PREFECT_API_URL names, and else the managed one.

    Raises:
        ServerError: The one that PREFECT_API_URL names does not answer, or no managed one can be started.
    """
    api_url = os.environ.get("PREFECT_API_URL", "").rstrip("/")
    address = Address.read()
    if api_url and not (address and api_url == _managed(address).api_url):
        return _named(api_url)
    return begin_managed()


def named_or_running() -> Server | None:
    """Return the server of a run that is there already, without starting one; None where there is none.

    Raises:
        ServerError: The one that PREFECT_API_URL names does not answer.
    """
    return begin() if os.environ.get("PREFECT_API_URL") else status()


def begin_managed() -> Server:
    """Attach to the managed server or start it, whatever PREFECT_API_URL says; do not wait until it answers.

    Raises:
        ServerError: It cannot be started.
        InstalledSetError: It would not work with the installed packages.
    """
    check_installed()
    with exclusive():
        address = Address.read()
        if address and address.is_alive:
            if address.prefect == version("prefect"):
                return _managed(address)
            end(address)
        return _managed(spawn(settings().server_port))


def wait_until_ready(server: Server, timeout: float | None = None) -> None:
    """Wait until the server answers.

    Args:
        server: What ``begin`` returned.
        timeout: Seconds to wait at most; by default the setting ``server_timeout``.

    Raises:
        ServerError: It ended, or does not answer in time.
    """
    patience = settings().server_timeout if timeout is None else timeout
    deadline = time.monotonic() + patience
    while (left := deadline - time.monotonic()) > 0:
        if is_answering(server, min(left, 5.0)):
            return
        if server.is_managed and not _is_alive(server):
            why = last_words().rstrip(".") or "it said nothing"
            raise ServerError(f"The local Prefect server has ended: {why}.", _see_log(server))
        time.sleep(_PAUSE)
    raise ServerError(f"The Prefect server at {server.api_url} did not answer for {patience:g} seconds.", _see_log(server))


def status() -> Server | None:
    """Return the managed server if it is running, whether it answers yet or not."""
    address = Address.read()
    return _managed(address) if address and address.is_alive else None


def stop() -> bool:
    """End the managed server; return whether there was one."""
    if Address.read() is None:
        return False
    with exclusive():
        address = Address.read()
        return address is not None and end(address)


def revive(server: Server) -> Server:
    """Start a managed server again if it died, on the same port: its clients know no other.

    Args:
        server: The server of the run.

    Raises:
        ServerError: It is not ours, or another server or program is where it was.
    """
    if not server.is_managed or server.port is None:
        raise ServerError(f"The Prefect server at {server.api_url} is not ours to start.")
    check_installed()
    with exclusive():
        address = Address.read()
        if address is None or not address.is_alive:
            return _managed(spawn(server.port, any_port=False))
    if address.port != server.port:
        raise ServerError(f"The local Prefect server has moved to {_managed(address).api_url}.", "Run the same command again.")
    return _managed(address)


def is_answering(server: Server, timeout: float = _TRY_SECONDS) -> bool:
    """Return whether the server answers now.

    Args:
        server: The server to ask.
        timeout: Seconds to wait for the answer.
    """
    try:
        return _ask_health(server, timeout).code == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def _named(api_url: str) -> Server:
    """Return the server that PREFECT_API_URL names, if it answers and lets us in."""
    if not api_url.startswith(("http://", "https://")):
        raise ServerError(f"PREFECT_API_URL is {api_url}, which is no address.", "It begins with http:// or https://.")
    server = Server(api_url, os.environ.get("PREFECT_UI_URL") or _ui_url(api_url), is_managed=False)
    reason: Exception | str = ""
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_PAUSE * 2**attempt)
        try:
            health = _ask_health(server, _TRY_SECONDS)
        except (OSError, HTTPException) as error:
            if isinstance(error, URLError) and isinstance(error.reason, ssl.SSLCertVerificationError):
                # Which certificates to trust is for Prefect's client to say; it has settings for it.
                return server
            reason = error
            continue
        if health.code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            message = f"The Prefect server at {api_url} refuses: {health.code.value} {health.code.phrase}."
            raise ServerError(message, "Check PREFECT_API_KEY or PREFECT_API_AUTH_STRING.")
        if health.is_page:
            reason = "there is a web page; the address of an API ends in /api"
        elif health.code == HTTPStatus.OK:
            return server
        else:
            reason = f"{health.code.value} {health.code.phrase}"
    raise ServerError(f"PREFECT_API_URL names {api_url}, where no Prefect server answers: {reason}.")


@dataclass(frozen=True, slots=True)
class _Health:
    """What a server says when it is asked how it is."""

    code: HTTPStatus
    is_page: bool
    """It is for people to read, so it does not come from an API."""


def _ask_health(server: Server, timeout: float) -> _Health:
    """Ask the server how it is; raise what urllib does where there is no answer."""
    headers = {} if server.is_managed else _credentials()
    # The managed server is on this machine, which a proxy cannot reach.
    opener = build_opener(ProxyHandler({})) if server.is_managed else build_opener()
    try:
        # Only http and https come here.
        answer = opener.open(Request(f"{server.api_url}/health", headers=headers), timeout=timeout)  # noqa: S310
    except HTTPError as error:
        answer = error
    with answer:
        return _Health(HTTPStatus(answer.status), answer.headers.get_content_type() == "text/html")


def _credentials() -> dict[str, str]:
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    return {}


def _managed(address: Address) -> Server:
    base = f"http://{HOST}:{address.port}"
    return Server(f"{base}/api", base, is_managed=True, pid=address.pid)


def _is_alive(server: Server) -> bool:
    address = Address.read()
    return address is not None and address.pid == server.pid and address.is_alive


def _ui_url(api_url: str) -> str:
    """Return the address of the UI: that of the API without its end, or the one of Prefect Cloud."""
    if "/api/accounts/" in api_url:
        ui = api_url.replace("//api.", "//app.", 1).replace("/api/accounts/", "/account/", 1)
        return ui.replace("/workspaces/", "/workspace/", 1)
    return api_url.removesuffix("/api")


def _see_log(server: Server) -> str:
    return f"Its log is {log_file()}." if server.is_managed else ""
