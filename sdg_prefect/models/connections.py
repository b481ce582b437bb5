"""Connections to a server: proxies, certificates, and how long an idle one is kept."""

from __future__ import annotations

import os
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from sdg_prefect.frozen import digest

if TYPE_CHECKING:
    import ssl

    import aiohttp

_IDLE = 4.0
"""Seconds that an unused connection is kept: less than the 5 s after which uvicorn and Node close theirs, so that hardly any call
is sent into a connection that the server is closing."""
_SHORTEST_SECRET = 8
"""A shorter value of a query is taken for a word."""
_THIS_MACHINE = ("localhost", "127.", "[::1]")


def address(base: str, path: str) -> str:
    """Return the address of something that a server offers below its base URL."""
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def is_address(url: str) -> bool:
    """True for the address of an HTTP server."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and len(url.split()) == 1
    except ValueError:  # a port that is none
        return False


def without_user(url: str) -> str:
    """Return an address, which may lack its scheme, without the name and password of a user."""
    scheme, slashes, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def shown_url(url: str) -> str:
    """Return an address as people may see it: without a user's name and password, and without the query, where keys stand too."""
    return without_user(url).partition("#")[0].partition("?")[0]


def named_url(url: str) -> str:
    """Return a name for what is at an address: as people may see it, and another one for another query."""
    query = urlsplit(url).query
    return f"{shown_url(url)}#{digest(query)[:8]}" if query else shown_url(url)


def secrets_within(url: str) -> list[str]:
    """Return what stands in an address and no message should repeat, both as it is written and as it is meant."""
    parts = urlsplit(url)
    asked = [value for _, value in parse_qsl(parts.query) if len(value) >= _SHORTEST_SECRET]
    whole = [parts.query] if asked else []
    found = [*whole, *asked, *([parts.password] if parts.password else [])]
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    # As the header has it that carries both.
    sent = [b64encode(user.encode()).decode()] if parts.password else []
    return [*found, *(unquote(one) for one in found), *sent]


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
