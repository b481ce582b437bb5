"""Connections to a server: proxies, certificates, and how long an idle one is kept."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    import ssl

    import aiohttp

_IDLE = 4.0
"""Seconds that an unused connection is kept: less than the 5 s after which uvicorn and Node close theirs, so that hardly any call
is sent into a connection that the server is closing."""
_THIS_MACHINE = ("localhost", "127.", "[::1]")


def address(base: str, path: str) -> str:
    """Return the address of something that a server offers below its base URL."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def without_user(url: str) -> str:
    """Return an address, which may lack its scheme, without the name and password of a user."""
    scheme, slashes, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def key_header(base: str, key: str | None) -> dict[str, str]:
    """Return the header that carries a key; none where there is no key, or the address brings a user's name and password."""
    return {"Authorization": f"Bearer {key}"} if key and not urlsplit(base).username else {}


def open_session(url: str, timeout: float) -> aiohttp.ClientSession:
    """Open a session for calls to one server; has to be called on the event loop that will use it.

    Args:
        url: An address at the server.
        timeout: Seconds until an attempt is given up, from its begin to the last byte of the reply.
    """
    import aiohttp

    # Who limits the calls is the gateway.
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE, ssl=certificates() if url.startswith("https:") else True)
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=timeout), cookie_jar=aiohttp.DummyCookieJar()
    )


@cache
def certificates() -> ssl.SSLContext:
    """Return whom to trust: this machine's certificates, or those that SSL_CERT_FILE names, and the ones that certifi brings."""
    import ssl

    import certifi

    context = ssl.create_default_context()
    if not os.path.isfile(os.environ.get("SSL_CERT_FILE", "")):
        context.load_verify_locations(certifi.where())
    return context


def proxy_options(url: str) -> dict[str, Any]:
    """Return what a call needs to go through the proxy that the environment names for an address; nothing if it names none.

    aiohttp would look by itself, but with each call, and it would read passwords for the server from ``~/.netrc`` as well. What
    runs on this machine is not asked through a proxy.
    """
    from urllib.request import getproxies, proxy_bypass

    import aiohttp

    parts = urlsplit(without_user(url))
    if parts.netloc.startswith(_THIS_MACHINE) or proxy_bypass(parts.netloc):
        return {}
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return {}
    found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if not found.username:
        return {"proxy": found.geturl()}
    return {"proxy": without_user(found.geturl()), "proxy_auth": aiohttp.BasicAuth(found.username, found.password or "")}
