"""The HTTP server of the simulated model."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any

from aiohttp import web

from sdg_prefect.simulator import bodies, errors, protocol
from sdg_prefect.simulator.batches import Batches
from sdg_prefect.simulator.calling import choose_calls, tell_results
from sdg_prefect.simulator.chance import fingerprint
from sdg_prefect.simulator.embedding import embeddings_body
from sdg_prefect.simulator.faults import Fate, Fault, Faults
from sdg_prefect.simulator.minutes import Minutes
from sdg_prefect.simulator.pooling import pooled_texts, step_scores
from sdg_prefect.simulator.prefixes import SeenPrefixes
from sdg_prefect.simulator.replying import MALFORMED, write_reply
from sdg_prefect.simulator.responses import HEADERS, error_response, json_response
from sdg_prefect.simulator.scripts import load_replies, scripted_reply
from sdg_prefect.simulator.settings import SimulatorSettings
from sdg_prefect.simulator.tally import Entry, Tally, log_line
from sdg_prefect.simulator.wording import count_tokens

DEFAULT_MODELS = ("simulated",)
"""The list of models when the settings name none; any other name is served too."""

_THINKS = re.compile(r"thinking|reason", re.IGNORECASE)
_OK = 200
_CLIENT_LEFT = 499

Body = dict[str, Any]
Generate = Callable[["SimulatedServer", web.BaseRequest, Body, float], Awaitable[web.StreamResponse]]
"""Answers a request with such a body, which came at such a time of ``time.monotonic``."""


class SimulatedServer:
    """Answers requests; lives on one event loop."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.tally = Tally()
        self.journal: list[Entry] = []
        self.batches = Batches(self.answer, self.tally)
        self._log: IO[str] | None = None
        self.use(settings)

    def use(self, settings: SimulatorSettings) -> None:
        """Take other settings; counts go on, attempts at prompts start anew."""
        replies = load_replies(settings.replies)
        self.close()
        self.settings = settings
        self._replies = replies
        self._prefixes = SeenPrefixes(settings.prompt_cache_tokens) if settings.prompt_cache_tokens else None
        self._faults = Faults(settings)
        self._minutes = Minutes(settings)
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
            if path.startswith(("/files", "/batches")):
                self._check_key(request)
                return await self.batches.handle(request, path, self.settings)
            return self._inform(request.method, path, request)
        except errors.ApiError as error:
            return error_response(error)

    def _inform(self, method: str, path: str, request: web.BaseRequest) -> web.Response:
        """Answer a request that generates nothing."""
        match method, path:
            case "GET", "/health" | "/ping":
                return json_response({"status": "ok", "simulated": True})
            case "GET", "/models":
                self._check_key(request)
                return json_response(bodies.models_body(self.settings.models or DEFAULT_MODELS))
            case "GET", "/stats":
                return json_response(self.tally.as_dict())
            case "POST", "/stats/reset":
                self.tally.reset()
                self._faults = Faults(self.settings)
                return json_response(self.tally.as_dict())
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
            response = await generate(self, request, body, entry.began)
            status = response.status
        except errors.ApiError as error:
            status, response = error.status, error_response(error)
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
        self._check_model(body)
        if settings.quota is not None and self.tally.calls > settings.quota:
            raise errors.no_quota()
        if settings.max_concurrency is not None and self.tally.in_flight > settings.max_concurrency:
            raise errors.too_many(settings.retry_after)
        return body

    def _check_model(self, body: Body) -> None:
        if self.settings.models is not None and body.get("model") not in self.settings.models:
            raise errors.unknown_model(str(body.get("model")))

    def _check_key(self, request: web.BaseRequest) -> None:
        key = self.settings.api_key
        if key is not None and request.headers.get("Authorization") != f"Bearer {key}":
            raise errors.wrong_key()

    async def _undergo(self, fate: Fate, began: float) -> None:
        """Let a call meet its fate: wait, fail, or go on. What was done since it came, at ``began``, is part of the wait."""
        if fate.fault is Fault.TIMEOUT:
            await asyncio.Event().wait()
        if fate.delay:
            await asyncio.sleep(began + fate.delay - time.monotonic())
        self._fail(fate)

    def _fail(self, fate: Fate) -> None:
        match fate.fault:
            case Fault.REFUSAL:
                raise errors.refused()
            case Fault.RATE_LIMIT:
                raise errors.too_many(self.settings.retry_after)
            case Fault.SERVER_ERROR:
                raise errors.server_error(fate.status)

    async def chat(self, request: web.BaseRequest, body: Body, began: float) -> web.StreamResponse:
        """Answer a chat completion."""
        return await self._generate(request, protocol.read_call(body, is_chat=True), began)

    async def complete(self, request: web.BaseRequest, body: Body, began: float) -> web.StreamResponse:
        """Answer a text completion."""
        return await self._generate(request, protocol.read_call(body, is_chat=False), began)

    def answer(self, path: str, body: Body) -> Body:
        """Answer a request of a batch at once; it meets the faults of a call, but no wait."""
        self._check_model(body)
        if path == "/embeddings":
            self._fail(self._faults.next_fate(fingerprint(*pooled_texts(body))))
            return self._embedded(body, pooled_texts(body))
        call = protocol.read_call(body, is_chat=path == "/chat/completions")
        tokens, key = self._prompt_tokens(call), fingerprint(*call.prompts)
        fate = self._faults.next_fate(key)
        self._fail(fate)
        choices = self._choices(call, fate)
        self.tally.completions += len(choices)
        return bodies.generation_body(call, choices, self._with_cached(call, tokens), key)

    async def _generate(self, request: web.BaseRequest, call: protocol.Call, began: float) -> web.StreamResponse:
        tokens, key = self._prompt_tokens(call), fingerprint(*call.prompts)
        limits = self._minutes.admit(tokens + (call.max_tokens or 0) * call.n)
        fate = self._faults.next_fate(key)
        choices = self._choices(call, fate) if fate.status == _OK else []
        await self._undergo(fate, began)
        self.tally.completions += len(choices)
        told = self._with_cached(call, tokens)
        if call.streams:
            return await self._stream(request, call, choices, told, key)
        body = bodies.generation_body(call, choices, told, key)
        return json_response(body, is_cut=fate.fault is Fault.BROKEN_JSON, headers=limits)

    def _prompt_tokens(self, call: protocol.Call) -> int:
        """Count the tokens of a call's prompts, each of which has to fit into the context window."""
        tokens = [count_tokens(prompt) for prompt in call.prompts]
        window = self.settings.context_window
        if window is not None and max(tokens) > window:
            raise errors.too_long(max(tokens), window)
        return sum(tokens)

    def _with_cached(self, call: protocol.Call, tokens: int) -> protocol.PromptTokens:
        """Say how many of the tokens of an answered call were cached, where that is told."""
        prefixes = self._prefixes
        cached = None if prefixes is None else sum(prefixes.cached(call.model, prompt) for prompt in call.prompts)
        return protocol.PromptTokens(tokens, cached)

    def _choices(self, call: protocol.Call, fate: Fate) -> list[protocol.Choice]:
        thinks = bool(_THINKS.search(call.model))
        return [self._choice(call, prompt, sample, thinks, fate) for prompt in call.prompts for sample in range(call.n)]

    def _choice(self, call: protocol.Call, prompt: str, sample: int, thinks: bool, fate: Fate) -> protocol.Choice:
        """Return one answer; a fixed reply is sent as it stands, whatever the call's stop strings."""
        if fate.fault is Fault.MALFORMED:
            return protocol.finish(MALFORMED, call)
        if self._replies and (reply := scripted_reply(self._replies, prompt)) is not None:
            if reply.calls:
                return protocol.finish_calls(reply.calls, call)
            return protocol.Choice(reply.text(sample), "stop", count_tokens(reply.text(sample)))
        if call.offer is not None:
            if calls := choose_calls(call.offer, prompt, call.seed, sample):
                return protocol.finish_calls(calls, call)
            if (told := tell_results(call.offer)) is not None:
                return protocol.finish(told, call)
        return protocol.finish(write_reply(prompt, call.seed, sample, call.constraint, thinks), call)

    async def _stream(
        self,
        request: web.BaseRequest,
        call: protocol.Call,
        choices: list[protocol.Choice],
        prompt: protocol.PromptTokens,
        key: str,
    ) -> web.StreamResponse:
        """Send a reply as server-sent events."""
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in bodies.stream_chunks(call, choices, prompt, key):
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    async def embed(self, request: web.BaseRequest, body: Body, began: float) -> web.StreamResponse:
        """Place texts in space, near to texts like them."""
        texts = pooled_texts(body)
        fate = self._faults.next_fate(fingerprint(*texts))
        await self._undergo(fate, began)
        return json_response(self._embedded(body, texts), is_cut=fate.fault is Fault.BROKEN_JSON)

    def _embedded(self, body: Body, texts: list[str]) -> Body:
        self.tally.completions += len(texts)
        return embeddings_body(body, texts, sum(map(count_tokens, texts)))

    async def pool(self, request: web.BaseRequest, body: Body, began: float) -> web.StreamResponse:
        """Score the steps of solutions, as a process-reward model does."""
        texts = pooled_texts(body)
        key = fingerprint(*texts)
        fate = self._faults.next_fate(key)
        await self._undergo(fate, began)
        scores = [step_scores(text, body, self.settings.step_fill_token) for text in texts]
        self.tally.completions += len(scores)
        tokens = sum(map(count_tokens, texts))
        reply = bodies.pooling_body(str(body.get("model")), scores, tokens, key)
        return json_response(reply, is_cut=fate.fault is Fault.BROKEN_JSON)


_GENERATING: dict[str, Generate] = {
    "/chat/completions": SimulatedServer.chat,
    "/completions": SimulatedServer.complete,
    "/embeddings": SimulatedServer.embed,
    "/pooling": SimulatedServer.pool,
}
