"""Replies over HTTP: JSON, and errors as the OpenAI protocol writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from sdg_prefect.simulator.errors import ApiError

HEADERS = {"x-simulated": "true"}
"""Headers of every reply."""


def json_response(body: dict[str, Any], *, is_cut: bool = False, headers: Mapping[str, str] = HEADERS) -> web.Response:
    """Return a reply with a JSON object, or with its first half; headers come beside those of every reply."""
    data = json_bytes(body)
    if is_cut:
        data = data[: len(data) // 2]
    return web.Response(body=data, content_type="application/json", headers={**HEADERS, **headers})


def json_bytes(body: dict[str, Any]) -> bytes:
    """Write a JSON object as replies have it."""
    with suppress(TypeError):  # halves of characters
        return orjson.dumps(body)
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")


def error_response(error: ApiError) -> web.Response:
    """Return the reply for an error."""
    return web.Response(
        body=json.dumps(error.body).encode(),
        status=error.status,
        content_type="application/json",
        headers={**HEADERS, **error.headers},
    )
