"""Any provider, through litellm."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge

_NO_KEY = "EMPTY"
"""What servers without a key accept; the OpenAI protocol asks for some word."""


@cache
def load_litellm() -> Any:
    """Import litellm, quiet and without its download of a price list; takes seconds the first time."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.drop_params = False
    logging.getLogger("LiteLLM").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # Its first reply builds its types, and pydantic has something to say about them.
        warnings.filterwarnings("ignore", "Item .* is using the `ReadOnly` qualifier", UserWarning)
        litellm.ModelResponse()
        litellm.TextCompletionResponse()
    return litellm


class LitellmClient:
    """Calls an endpoint through litellm, with litellm's own retries off."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._litellm = load_litellm()
        self._endpoint = endpoint
        self._api_base = endpoint.api_base
        self._model = self._named(endpoint.model)

    def _named(self, model: str) -> str:
        """Return the name with its provider; a server behind ``api_base`` speaks OpenAI's protocol unless said otherwise."""
        provider = model.split("/", maxsplit=1)[0]
        if self._api_base is None or ("/" in model and provider in self._litellm.provider_list and provider != "simulated"):
            return model
        return f"openai/{model}"

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; see ``Client``."""
        started = time.perf_counter()
        try:
            response = await self._send(request)
            return self._read(response, time.perf_counter() - started)
        except Exception as error:
            raise self._translated(error) from error

    async def _send(self, request: Request) -> Any:
        options: dict[str, Any] = {
            **self._endpoint.params,
            **request.params,
            "timeout": self._endpoint.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "api_key": self._endpoint.key() or (_NO_KEY if self._api_base else None),
        }
        if self._api_base:
            options["api_base"] = self._api_base
        if request.prompt is not None:
            model = self._model.replace("openai/", "text-completion-openai/", 1)
            return await self._litellm.atext_completion(model=model, prompt=request.prompt, **options)
        messages = [dict(message) for message in request.messages or ()]
        return await self._litellm.acompletion(model=self._model, messages=messages, **options)

    def _read(self, response: Any, seconds: float) -> Completion:
        usage = getattr(response, "usage", None)
        tokens_in = int(getattr(usage, "prompt_tokens", 0) or 0)
        tokens_out = int(getattr(usage, "completion_tokens", 0) or 0)
        return Completion(
            choices=tuple(_choice(choice) for choice in response.choices),
            model=str(response.model or self._endpoint.model),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=self._cost(tokens_in, tokens_out),
            seconds=seconds,
        )

    def _cost(self, tokens_in: int, tokens_out: int) -> float | None:
        if self._endpoint.is_simulated:
            return 0.0
        price = self._endpoint.price
        if price is not None:
            return (tokens_in * price.input + tokens_out * price.output) / 1e6
        known = self._litellm.model_cost.get(self._endpoint.model) or self._litellm.model_cost.get(
            self._endpoint.model.split("/", 1)[-1]
        )
        if not known or self._api_base:
            return None
        return float(
            tokens_in * (known.get("input_cost_per_token") or 0) + tokens_out * (known.get("output_cost_per_token") or 0)
        )

    def _translated(self, error: Exception) -> CallError:
        status = getattr(error, "status_code", None)
        message = str(getattr(error, "message", "") or error)
        if isinstance(error, self._litellm.exceptions.Timeout):
            status, message = 408, f"no reply within {self._endpoint.timeout:g} s"
        elif isinstance(error, self._litellm.exceptions.ContextWindowExceededError):
            message = f"context_length_exceeded: {message}"
        # The message alone may leave out what went wrong, such as "content_filter".
        return CallError(judge(status, f"{message} {_code(error)}"), _plain(message), _retry_after(error))

    async def close(self) -> None:
        """Give back the connections that litellm keeps for this process."""
        await self._litellm.close_litellm_async_clients()
        # Closed clients must not serve a later run, nor wait for the garbage collector to complain.
        self._litellm.in_memory_llm_clients_cache.flush_cache()


def _plain(message: str) -> str:
    """Take litellm's own words off what the endpoint said."""
    said = message
    for _ in range(4):
        head, colon, rest = said.partition(": ")
        if colon and head.startswith("litellm."):
            said = rest
        elif said.split(" - ", 1)[0].endswith(("Exception", "Error")) and " - " in said:
            said = said.split(" - ", 1)[1]
        elif colon and head.endswith("Error") and " " not in head:
            said = rest
    return said.strip()


def _code(error: Exception) -> str:
    """Return the code in the body of the endpoint's error, where there is one."""
    body = getattr(error, "body", None)
    return str(body.get("code") or "") if isinstance(body, Mapping) else ""


def _retry_after(error: Exception) -> float | None:
    response = getattr(error, "response", None)
    headers: Mapping[str, str] = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    value = headers.get("retry-after")
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def _choice(choice: Any) -> Choice:
    """Read one choice of a chat or a text completion."""
    message = getattr(choice, "message", None)
    if message is None:
        return Choice(text=choice.text, finish_reason=choice.finish_reason, logprobs=_text_logprobs(choice))
    calls = getattr(message, "tool_calls", None)
    return Choice(
        text=message.content,
        finish_reason=choice.finish_reason,
        reasoning=getattr(message, "reasoning_content", None),
        logprobs=_chat_logprobs(choice),
        tool_calls=[call.model_dump() for call in calls] if calls else None,
    )


def _text_logprobs(choice: Any) -> list[dict[str, float]] | None:
    logprobs = getattr(choice, "logprobs", None)
    positions = getattr(logprobs, "top_logprobs", None)
    return [dict(position or {}) for position in positions] if positions is not None else None


def _chat_logprobs(choice: Any) -> list[dict[str, float]] | None:
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if content is None:
        return None
    return [{top.token: top.logprob for top in position.top_logprobs or [position]} for position in content]
