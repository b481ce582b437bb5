"""The error bodies of the OpenAI protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """An error that is answered with a status and an OpenAI error body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        kind: str = "invalid_request_error",
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def bad_request(message: str, param: str | None = None) -> ApiError:
    """A request that makes no sense."""
    return ApiError(400, message, param=param)


def wrong_key() -> ApiError:
    """A request without the right key."""
    return ApiError(401, "Incorrect API key provided.", code="invalid_api_key")


def unknown_model(model: str) -> ApiError:
    """A request for a model that is not served."""
    return ApiError(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def unknown_path(method: str, path: str) -> ApiError:
    """A request for something that is not served."""
    return ApiError(404, f"Unknown request URL: {method} {path}.", code="unknown_url")


def unknown_object(name: str) -> ApiError:
    """A request for a file or a batch that is not there."""
    return ApiError(404, f"No such object: {name}.", param="id")


def too_long(tokens: int, window: int) -> ApiError:
    """A prompt that does not fit into the context window."""
    return ApiError(
        400,
        f"This model's maximum context length is {window} tokens. However, your messages "
        f"resulted in {tokens} tokens. "
        "Please reduce the length of the messages.",
        code="context_length_exceeded",
        param="messages",
    )


def refused() -> ApiError:
    """A prompt that a content filter stops."""
    return ApiError(
        400,
        "The prompt was stopped by the content filter of this service.",
        code="content_filter",
        param="prompt",
    )


def no_quota() -> ApiError:
    """An account that has used up its quota."""
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        code="insufficient_quota",
        kind="insufficient_quota",
    )


def too_many(retry_after: float, told: Mapping[str, str] | None = None) -> ApiError:
    """More calls than the limits allow; the headers may tell of the limits."""
    return ApiError(
        429,
        f"Rate limit reached. Please try again in {retry_after:g}s.",
        code="rate_limit_exceeded",
        kind="requests",
        headers={"Retry-After": f"{retry_after:g}", **(told or {})},
    )


def server_error(status: int) -> ApiError:
    """A failure on the side of the server."""
    return ApiError(status, "The server had an error while processing your request.", kind="server_error")
