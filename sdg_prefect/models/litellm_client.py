"""Any provider, through litellm."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

from sdg_prefect.models.allowances import Allowances, read_allowances
from sdg_prefect.models.completion import Choice, Completion, Request, Route
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import BROKEN_REPLY, CallError, judge, readable, rest_of, status_of
from sdg_prefect.models.headers import filled
from sdg_prefect.models.openai_replies import error_within
from sdg_prefect.models.pricing import price_of
from sdg_prefect.models.prompt_cache import mark_of
from sdg_prefect.models.usage import read_usage
from sdg_prefect.models.vectors import read_vectors

_NO_KEY = "EMPTY"
"""What servers without a key accept; litellm asks for some word."""
_TEXT = "text-completion-openai/"
_TOLD = "llm_provider-"
"""What litellm puts in front of the names of a provider's headers."""
_BROKEN_MARKS = ("empty or invalid response", "invalid response object", "provider returned 'choices'")
_BREAKS = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What litellm stumbles over in a reply that is no completion."""


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
        self._price = price_of(endpoint)
        self._mark = mark_of(endpoint)

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
            return self._read(response, request.route, time.perf_counter() - started)
        except CallError:
            raise
        except Exception as error:
            raise self._translated(error) from error

    async def _send(self, request: Request) -> Any:
        params = self._endpoint.all_params(request.params)
        if self._mark is not None:
            request, params = self._mark.put(request, params)
        headers = params.get("extra_headers")
        options: dict[str, Any] = {
            **params,
            **({"extra_headers": filled(headers)} if headers else {}),
            "timeout": self._endpoint.timeout,
            "num_retries": 0,
            "max_retries": 0,
            "api_key": self._endpoint.key() or (_NO_KEY if self._api_base else None),
        }
        if self._api_base:
            options["api_base"] = self._api_base
        if options.get("tools") and find_spec("mcp") is None:
            options["_skip_mcp_handler"] = True  # else litellm imports the package mcp for each call with tools
        if request.text is not None:
            # litellm lets dimensions pass for models that it knows to have a choice; a server says itself what it takes.
            passes = [name for name in ("dimensions",) if name in options]
            return await self._litellm.aembedding(
                model=self._model, input=[request.text], encoding_format="float", allowed_openai_params=passes, **options
            )
        if request.prompt is not None:
            return await self._litellm.atext_completion(model=self._text_model(), prompt=request.prompt, **options)
        messages = [dict(message) for message in request.messages or ()]
        return await self._litellm.acompletion(model=self._model, messages=messages, **options)

    def _text_model(self) -> str:
        """Return the name for raw prompts, which litellm else puts into chat messages."""
        provider, _, name = self._model.partition("/")
        return _TEXT + name if provider == "openai" or (provider == "hosted_vllm" and self._api_base) else self._model

    def _read(self, response: Any, route: Route, seconds: float) -> Completion:
        if (found := getattr(response, "error", None)) and (said := error_within({"error": found})) is not None:
            raise CallError(judge(said.status, f"{said.message} {said.code}"), readable(said.message, self._endpoint.secrets()))
        choices = self._vectors(response) if route == "embeddings" else tuple(map(_choice, response.choices or ()))
        if not choices:
            raise CallError(BROKEN_REPLY, "the reply is not a completion: it has no choices")
        told = getattr(response, "usage", None)
        usage = read_usage(told.model_dump() if told is not None else None)
        return Completion(
            choices=choices,
            model=str(response.model or self._endpoint.model),
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            tokens_written=usage.tokens_written,
            cost_usd=None if self._price is None else self._price.cost(usage),
            seconds=seconds,
            allowances=_allowances(response),
        )

    def _vectors(self, response: Any) -> tuple[Choice, ...]:
        try:
            return tuple(Choice(vector, "stop") for vector in read_vectors(response.model_dump()))
        except ValueError as error:
            raise CallError(BROKEN_REPLY, f"the reply is not one of embeddings: {error}") from error

    def _translated(self, error: Exception) -> CallError:
        if isinstance(error, self._litellm.exceptions.Timeout) and not _is_answered(error):
            return CallError(judge(408, ""), f"no reply within {self._endpoint.timeout:g} s")
        message, code = _said(error)
        marked = "context_length_exceeded" if isinstance(error, self._litellm.exceptions.ContextWindowExceededError) else code
        # The message alone may leave out what went wrong, such as "content_filter".
        verdict = judge(_status(error), f"{message} {marked}")
        if verdict.error == "Redirected":
            message = "the endpoint sends calls on to another address"
        if verdict.error == "ServerError" and not _is_answered(error) and (reason := _why_broken(error, message)):
            verdict, message = BROKEN_REPLY, f"the reply is not a completion: {reason}"
        headers = _headers(error)
        rest = rest_of(verdict, headers, message)
        return CallError(verdict, readable(message, self._endpoint.secrets()), rest, read_allowances(headers))

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


def _status(error: Exception) -> int | None:
    """Return the status of an error; a redirect is one that litellm did not follow, or not to its end."""
    if any(type(cause).__name__ == "TooManyRedirects" for cause in _causes(error)):
        return 310
    found = getattr(error, "status_code", None)
    return found if found is None or (isinstance(found, int) and found >= 300) else status_of(found, 422)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Go through an error and what led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _said(error: Exception) -> tuple[str, str]:
    """Return what the endpoint said and the code in its error: from the body where that was kept, else from litellm's words."""
    for cause in _causes(error):
        body = getattr(cause, "body", None)
        if isinstance(body, list) and len(body) == 1 and isinstance(body[0], Mapping):  # as Google has it
            body = body[0].get("error")
        if isinstance(body, Mapping) and isinstance(body.get("message"), str):
            return body["message"], " ".join(str(body[name]) for name in ("code", "details") if body.get(name))
    return _plain(str(getattr(error, "message", "") or error)), ""


def _headers(error: Exception) -> Mapping[str, str]:
    """Return the headers of the reply that was an error, as far as litellm kept them."""
    response = getattr(error, "response", None)
    return getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}


def _allowances(response: Any) -> Allowances | None:
    """Read the headers of a reply, which litellm keeps under names of its own."""
    told: Mapping[str, Any] = (getattr(response, "_hidden_params", None) or {}).get("additional_headers") or {}
    return read_allowances({name.removeprefix(_TOLD): str(value) for name, value in told.items() if name.startswith(_TOLD)})


def _is_answered(error: Exception) -> bool:
    """True if a server answered with a status, rather than litellm making one up."""
    return bool(getattr(error, "litellm_response_headers", None))


def _why_broken(error: Exception, message: str) -> str | None:
    """Say why a reply is no completion, where that is what failed: litellm calls it an error of the server."""
    for cause in _causes(error):
        if isinstance(cause, _BREAKS) and not isinstance(cause, UnicodeEncodeError):
            return f"{type(cause).__name__}: {cause}"
    return message if any(mark in message.lower() for mark in _BROKEN_MARKS) else None


def _choice(choice: Any) -> Choice:
    """Read one choice of a chat or a text completion."""
    own = getattr(choice, "provider_specific_fields", None)  # where litellm puts what it has no field for
    if (said := error_within(own)) is not None:
        raise CallError(judge(said.status, f"{said.message} {said.code}"), said.message)
    message = getattr(choice, "message", None)
    if message is None:
        if not isinstance(choice.text, str):
            raise CallError(BROKEN_REPLY, "the reply is not a completion: a choice has no text")
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
