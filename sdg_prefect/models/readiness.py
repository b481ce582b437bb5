"""Is an endpoint there, and does it take the key? Asked once, before the first call is paid."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.client import Client
from sdg_prefect.models.connections import address, key_header, open_session, proxy_options, shown_url
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.keys import key_named, shown_place

_ATTEMPTS = 3
_PAUSE = 0.5
_TIMEOUT = 10.0


async def open_client(endpoint: Endpoint, connect: Callable[[Endpoint], Client]) -> Client:
    """Look at an endpoint, and make its client.

    Args:
        endpoint: The endpoint.
        connect: Makes the client of an endpoint; what it imports may take seconds.

    Raises:
        EndpointError: It is not there, or does not take the key.
    """
    await check_endpoint(endpoint)
    return await asyncio.to_thread(connect, endpoint)


async def check_endpoint(endpoint: Endpoint) -> None:
    """Look at an endpoint without asking it for a completion.

    A server behind ``api_base`` is asked for its list of models; only refusing to connect and refusing the key count, since
    not every server has such a list. Where a provider is called by name, the variable of its key has to be set.

    Raises:
        EndpointError: Nobody answers, or the key is missing or refused.
    """
    if endpoint.api_key_env and not key_named(endpoint.api_key_env):
        raise EndpointError(
            f"model '{endpoint.model}': the environment variable {endpoint.api_key_env} is not set.",
            "It should hold the endpoint's key.",
        )
    if endpoint.api_base is not None:
        await _ask_for_models(endpoint, endpoint.api_base.rstrip("/"))


async def _ask_for_models(endpoint: Endpoint, base: str) -> None:
    import aiohttp

    shown = shown_url(base)
    headers = {} if endpoint.is_service else key_header(base, endpoint.key())
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            url = address(base, "models")
            async with (
                open_session(url, _TIMEOUT) as session,
                session.get(url, headers=headers, **proxy_options(url)) as reply,
            ):
                status = reply.status
            break
        except aiohttp.ClientConnectorCertificateError as error:  # a ValueError too
            raise EndpointError(
                f"endpoint {shown} has a certificate that is not trusted ({error.certificate_error}).",
                "The variable SSL_CERT_FILE can name a file with the certificates to trust.",
            ) from None
        except ValueError:
            raise EndpointError(f"endpoint {shown!r} is not an address.", "It looks like http://localhost:8000/v1.") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            if attempt == _ATTEMPTS:
                number = getattr(error, "errno", None)
                reason = (
                    os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or type(error).__name__
                )
                raise EndpointError(
                    f"endpoint {shown} does not answer ({reason}).",
                    "Check the address and that the server is up; the same command goes on from here.",
                ) from None
            await asyncio.sleep(_PAUSE * attempt)
        except (aiohttp.ClientError, TimeoutError):
            return  # somebody is there, who has no list of models to give
    if status in (401, 403) and not endpoint.is_service:  # what it wants to see there, only its own protocol says
        where = endpoint.api_key_env or "OPENAI_API_KEY"
        raise EndpointError(f"endpoint {shown} refuses the key (HTTP {status}).", f"Check the key in {shown_place(where)}.")
