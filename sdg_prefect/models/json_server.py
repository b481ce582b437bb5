"""A server that takes JSON by POST and answers with JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.connections import open_session, proxy_options
from sdg_prefect.models.failures import BROKEN_REPLY, CallError, judge, readable, rest_of

if TYPE_CHECKING:
    import aiohttp


class JSONServer:
    """Calls a server over connections of its own. Lives on the event loop of its first call."""

    def __init__(self, timeout: float, headers: Mapping[str, str], secrets: Sequence[str] = ()) -> None:
        """Prepare.

        Args:
            timeout: Seconds until a call is given up.
            headers: Sent with each call.
            secrets: What stands in them or in the address, and no message repeats.
        """
        self._timeout = timeout
        self._headers = dict(headers)
        self._secrets = secrets
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: Mapping[str, Any]) -> Any:
        """Make one attempt and return what came.

        Raises:
            CallError: It failed; the verdict is that of the table of failures.
        """
        import aiohttp

        if self._session is None:
            self._session = open_session(url, self._timeout)
        options: dict[str, Any] = {"json": body, "headers": self._headers, "allow_redirects": False, **proxy_options(url)}
        try:
            async with self._session.post(url, **options) as response:
                if response.status >= 300:
                    text = await response.text(errors="replace")
                    verdict = judge(response.status, text)
                    said = readable(text, self._secrets) or f"HTTP {response.status}"
                    raise CallError(verdict, said, rest_of(verdict, response.headers, text))
                return await response.json(content_type=None)
        except TimeoutError as error:
            raise CallError(judge(408, ""), f"no reply within {self._timeout:g} s") from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            message = readable(f"connection error: {error}", self._secrets)
            raise CallError(judge(None, message), message) from error
        except ValueError as error:
            raise CallError(BROKEN_REPLY, f"the reply is not JSON: {error}") from error

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
