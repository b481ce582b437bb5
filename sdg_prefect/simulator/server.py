"""The HTTP server of the simulated model."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any

from aiohttp import web

from sdg_prefect.simulator import errors, protocol
from sdg_prefect.simulator.chance import draw, fingerprint
from sdg_prefect.simulator.faults import Fate, Fault, Faults
from sdg_prefect.simulator.replying import MALFORMED, write_reply
from sdg_prefect.simulator.scripts import load_replies, scripted_reply
from sdg_prefect.simulator.settings import SimulatorSettings
from sdg_prefect.simulator.tally import Entry, Tally, log_line
from sdg_prefect.simulator.wording import count_tokens

DEFAULT_MODELS = ("simulated",)
"""The list of models when the settings name none; any other name is served too."""

_HEADERS = {"x-simulated": "true"}
_THINKS = re.compile(r"thinking|reason", re.IGNORECASE)
_CLIENT_LEFT = 499

Body = dict[str, Any]
Generate = Callable[["SimulatedServer", web.BaseRequest, Body], Awaitable[web.StreamResponse]]


class SimulatedServer:
    """Answers requests; lives on one event loop."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.tally = Tally()
        self.journal: list[Entry] = []
        self._log: IO[str] | None = None
        self.use(settings)

    def use(self, settings: SimulatorSettings) -> None:
        """Take other settings; counts go on, attempts at prompts start anew."""
        replies = load_replies(settings.replies)
        self.close()
        self.settings = settings
        self._replies = replies
        self._faults = Faults(settings)
        self._log = settings.log.open("a", encoding="utf-8", buffering=1) if settings.log else None

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()
            self._log = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.path.removeprefix("/v1")
        generate = _GENERATING.get(path) if request.method == "POST" else None
        if generate is not None:
            return await self._counted(request, generate)
        try:
            return self._inform(request.method, path, request)
        except errors.ApiError as error:
            return _error_response(error)

    def _inform(self, method: str, path: str, request: web.BaseRequest) -> web.Response:
        """Answer a request that generates nothing."""
        match method, path:
            case "GET", "/health" | "/ping":
                return _json_response({"status": "ok", "simulated": True})
            case "GET", "/models":
                self._check_key(request)
                return _json_response(protocol.models_body(self.settings.models or DEFAULT_MODELS))
            case "GET", "/stats":
                return _json_response(self.tally.as_dict())
            case "POST", "/stats/reset":
                self.tally.reset()
                self._faults = Faults(self.settings)
                return _json_response(self.tally.as_dict())
        raise errors.unknown_path(method, request.path)

    async def _counted(self, request: web.BaseRequest, generate: Generate) -> web.StreamResponse:
        """Answer a request to generate and keep count of it."""
        self.tally.begin()
        status, body = _CLIENT_LEFT, {}
        entry = Entry({}, time.monotonic())
        if self.settings.record:
            self.journal.append(entry)
        try:
            body = await self._read(request, entry)
            response = await generate(self, request, body)
            status = response.status
        except errors.ApiError as error:
            status, response = error.status, _error_response(error)
        finally:
            model = str(body.get("model", ""))
            self.tally.end(model, status)
            entry.ended, entry.status = time.monotonic(), status
            if self._log is not None:
                self._log.write(log_line(body, status))
        return response

    async def _read(self, request: web.BaseRequest, entry: Entry) -> Body:
        """Read the body of a request and check what does not depend on its prompt."""
        settings = self.settings
        self._check_key(request)
        try:
            body = json.loads(await request.read())
        except ValueError as error:
            raise errors.bad_request(f"We could not parse the JSON body of your request: {error}") from error
        if not isinstance(body, dict):
            raise errors.bad_request("The body of your request must be a JSON object.")
        entry.body = body
        if settings.models is not None and body.get("model") not in settings.models:
            raise errors.unknown_model(str(body.get("model")))
        if settings.quota is not None and self.tally.calls > settings.quota:
            raise errors.no_quota()
        if settings.max_concurrency is not None and self.tally.in_flight > settings.max_concurrency:
            raise errors.too_many(settings.retry_after)
        return body

    def _check_key(self, request: web.BaseRequest) -> None:
        key = self.settings.api_key
        if key is not None and request.headers.get("Authorization") != f"Bearer {key}":
            raise errors.wrong_key()

    async def _undergo(self, prompt_key: str) -> Fate:
        """Let the next attempt at a prompt meet its fate: wait, fail, or go on."""
        fate = self._faults.next_fate(prompt_key)
        if fate.fault is Fault.TIMEOUT:
            await asyncio.Event().wait()
        if fate.delay:
            await asyncio.sleep(fate.delay)
        match fate.fault:
            case Fault.REFUSAL:
                raise errors.refused()
            case Fault.RATE_LIMIT:
                raise errors.too_many(self.settings.retry_after)
            case Fault.SERVER_ERROR:
                raise errors.server_error(fate.status)
        return fate

    async def chat(self, request: web.BaseRequest, body: Body) -> web.StreamResponse:
        """Answer a chat completion."""
        return await self._generate(request, protocol.read_call(body, is_chat=True))

    async def complete(self, request: web.BaseRequest, body: Body) -> web.StreamResponse:
        """Answer a text completion."""
        return await self._generate(request, protocol.read_call(body, is_chat=False))

    async def _generate(self, request: web.BaseRequest, call: protocol.Call) -> web.StreamResponse:
        prompt_tokens = [count_tokens(prompt) for prompt in call.prompts]
        window = self.settings.context_window
        if window is not None and max(prompt_tokens) > window:
            raise errors.too_long(max(prompt_tokens), window)
        key = fingerprint(*call.prompts)
        fate = await self._undergo(key)
        thinks = bool(_THINKS.search(call.model))
        choices = [self._choice(call, prompt, sample, thinks, fate) for prompt in call.prompts for sample in range(call.n)]
        self.tally.completions += len(choices)
        if call.streams:
            return await self._stream(request, call, choices, sum(prompt_tokens), key)
        body = protocol.generation_body(call, choices, sum(prompt_tokens), key)
        return _json_response(body, is_cut=fate.fault is Fault.BROKEN_JSON)

    def _choice(self, call: protocol.Call, prompt: str, sample: int, thinks: bool, fate: Fate) -> protocol.Choice:
        """Return one answer; a fixed reply is sent as it stands, whatever the call's stop strings."""
        if fate.fault is Fault.MALFORMED:
            return protocol.finish(MALFORMED, call)
        if self._replies and (text := scripted_reply(self._replies, prompt, sample)) is not None:
            return protocol.Choice(text, "stop", count_tokens(text))
        return protocol.finish(write_reply(prompt, call.seed, sample, call.constraint, thinks), call)

    async def _stream(
        self,
        request: web.BaseRequest,
        call: protocol.Call,
        choices: list[protocol.Choice],
        prompt_tokens: int,
        key: str,
    ) -> web.StreamResponse:
        """Send a reply as server-sent events."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in protocol.stream_chunks(call, choices, prompt_tokens, key):
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def pool(self, request: web.BaseRequest, body: Body) -> web.StreamResponse:
        """Score the steps of solutions, as a process-reward model does."""
        texts = _pooled_texts(body)
        key = fingerprint(*texts)
        fate = await self._undergo(key)
        scores = [self._step_scores(text, body) for text in texts]
        self.tally.completions += len(scores)
        tokens = sum(map(count_tokens, texts))
        reply = protocol.pooling_body(str(body.get("model")), scores, tokens, key)
        return _json_response(reply, is_cut=fate.fault is Fault.BROKEN_JSON)

    def _step_scores(self, text: str, body: Body) -> list[list[float]]:
        """Return a pair of shares, bad and good, for each step of a text."""
        steps = text.split(self.settings.step_fill_token)
        if len(steps) == 1:
            replies = [one for one in body.get("messages") or () if one.get("role") == "assistant"]
            steps = [protocol.text_of(one.get("content")) for one in replies] or [text]
        else:
            steps = steps[:-1]
        good = [round(0.5 + 0.49 * draw(step, place) - 0.45 * (draw(step) > 0.85), 6) for place, step in enumerate(steps)]
        return [[round(1.0 - share, 6), share] for share in good]


_GENERATING: dict[str, Generate] = {
    "/chat/completions": SimulatedServer.chat,
    "/completions": SimulatedServer.complete,
    "/pooling": SimulatedServer.pool,
}


def _pooled_texts(body: Body) -> list[str]:
    """Return the texts a pooling request wants scored."""
    messages, given = body.get("messages"), body.get("input")
    if isinstance(messages, list) and messages and all(isinstance(one, dict) for one in messages):
        return ["\n".join(protocol.text_of(message.get("content")) for message in messages)]
    if isinstance(given, str):
        return [given]
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return list(given)
    raise errors.bad_request("'messages' or 'input' must hold the text to score", "messages")


def _json_response(body: Body, *, is_cut: bool = False) -> web.Response:
    data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if is_cut:
        data = data[: len(data) // 2]
    return web.Response(body=data, content_type="application/json", headers=_HEADERS)


def _error_response(error: errors.ApiError) -> web.Response:
    return web.Response(
        body=json.dumps(error.body).encode(),
        status=error.status,
        content_type="application/json",
        headers={**_HEADERS, **error.headers},
    )
