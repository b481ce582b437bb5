"""A server that speaks the OpenAI protocol and takes batches: files, batches, and their results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any, TypeVar
from uuid import uuid4

import orjson

from sdg_prefect.models.batches.states import MARKER, State, not_executed, read_state
from sdg_prefect.models.budget import Spent
from sdg_prefect.models.completion import Completion, Request, Route
from sdg_prefect.models.connections import address
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import BROKEN_REPLY, CallError, Reach, Verdict
from sdg_prefect.models.openai_client import OpenAIClient, read_whole
from sdg_prefect.models.openai_replies import NoCompletion, read_error, read_json
from sdg_prefect.models.queue import prompt_tokens
from sdg_prefect.models.usage import Usage

Outcome = Completion | CallError
VERSION = "/v1/"
"""Stands before the route of the requests in a batch."""

T = TypeVar("T")

_PAGE = 100
_MOST_PAGES = 100
_CLOCKS_DIFFER = 3600.0
_USUAL_REPLY = 1000
"""Tokens of a reply, where neither the request nor earlier replies say more."""
_NO_BATCHES = "Leave 'mode: batch' away if the server takes no batches."


class BatchClient(OpenAIClient):
    """Leaves batches with an endpoint and fetches their results. Lives on one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._base = endpoint.api_base or ""

    def line(self, key: str, request: Request) -> bytes:
        """Write the line of a request.

        Raises:
            CallError: It cannot be written as JSON.
        """
        head = orjson.dumps({"custom_id": key, "method": "POST", "url": f"{VERSION}{request.route}"})
        return b'%s,"body":%s}\n' % (head[:-1], self._body(request))

    def likely_cost(self, requests: Sequence[Request]) -> Spent:
        """Guess what one of some requests costs, by the length of its prompt and the most that its reply may have."""
        tokens_in = sum(prompt_tokens(request) for request in requests) / len(requests)
        tokens_out = sum(self._longest_reply(request) for request in requests) / len(requests)
        usd = self._price.cost(Usage(round(tokens_in), round(tokens_out))) if self._price else 0.0
        return Spent(1, round(tokens_in + tokens_out), usd)

    def _longest_reply(self, request: Request) -> float:
        if request.text is not None:
            return 0.0
        params = self._params(request)
        most = params.get("max_completion_tokens") or params.get("max_tokens") or _USUAL_REPLY
        return float(most) * int(params.get("n") or 1)

    async def upload(self, content: bytes, name: str) -> str:
        """Upload the requests of a batch and return the id of the file."""
        edge = uuid4().hex.encode()
        part = b'--%s\r\nContent-Disposition: form-data; name="%s"'
        body = b"".join((
            part % (edge, b"purpose"), b"\r\n\r\nbatch\r\n",
            part % (edge, b"file"), b'; filename="%s.jsonl"\r\nContent-Type: application/jsonl\r\n\r\n' % name.encode(), content,
            b"\r\n--%s--\r\n" % edge,
        ))  # fmt: skip
        headers = {"Content-Type": f"multipart/form-data; boundary={edge.decode()}"}
        reply = await self._asked("POST", "files", body, headers=headers, timeout=self._unhurried())
        if not isinstance(reply, dict) or not reply.get("id"):
            raise CallError(BROKEN_REPLY, "the endpoint's reply does not describe a file")
        return str(reply["id"])

    async def create(self, file_id: str, path: str, marker: str) -> State:
        """Submit an uploaded file as a batch."""
        metadata = {MARKER: marker}
        asked = {"input_file_id": file_id, "endpoint": path, "completion_window": "24h", "metadata": metadata}
        return read_state(await self._asked("POST", "batches", orjson.dumps(asked)))

    async def state(self, batch_id: str) -> State | None:
        """Return how far a batch is; None where the endpoint does not know it."""
        return await _if_there(self._state(batch_id))

    async def _state(self, batch_id: str) -> State:
        return read_state(await self._asked("GET", f"batches/{batch_id}"))

    async def find(self, marker: str, since: float) -> State | None:
        """Look for a batch by its marker.

        Args:
            marker: What its metadata say.
            since: When it was submitted at the earliest, in Unix time.
        """
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._asked("GET", f"batches?limit={_PAGE}{f'&after={after}' if after else ''}")
            found = [read_state(body) for body in (page.get("data") if isinstance(page, dict) else None) or ()]
            for state in found:
                if state.marker == marker:
                    return state
            if not found or not page.get("has_more") or 0 < found[-1].created < since - _CLOCKS_DIFFER:
                return None
            after = found[-1].id
        return None

    async def results(self, state: State, route: Route) -> dict[str, Outcome] | None:
        """Fetch what came of the requests of an ended batch, by their keys; None where the endpoint has not kept it.

        Requests that it does not tell of are left out.
        """
        return await _if_there(self._results(state, route))

    async def _results(self, state: State, route: Route) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        with self._translating():
            for file_id in state.files:
                async for text in self._lines(file_id):
                    line = read_json(text)
                    if isinstance(line, dict) and line.get("custom_id"):
                        found[str(line["custom_id"])] = self._outcome(line, route)
        return found

    async def _lines(self, file_id: str) -> AsyncIterator[bytes]:
        url = address(self._base, f"files/{file_id}/content")
        async with await self._reply("GET", url, timeout=self._unhurried()) as response:
            pieces: list[bytes] = []
            async for piece in response.content.iter_any():
                *ends, rest = piece.split(b"\n")
                for end in ends:
                    if (line := b"".join((*pieces, end))).strip():
                        yield line
                    pieces = []
                pieces.append(rest)
            if (line := b"".join(pieces)).strip():
                yield line

    def _outcome(self, line: dict[str, Any], route: Route) -> Outcome:
        response = line.get("response")
        if not isinstance(response, dict):
            return not_executed(line.get("error"))
        status, body = int(response.get("status_code") or 200), response.get("body")
        try:
            if status >= 300:
                return self._failed(read_error(status, orjson.dumps(body)))
            # How long the model took for one request, a batch does not tell.
            return self._completion(body, route, 0.0)
        except CallError as error:
            return error
        except (NoCompletion, TypeError) as error:
            return self._translated(error)

    async def _asked(self, method: str, path: str, body: bytes | None = None, **options: Any) -> Any:
        """Ask for something about files or batches, and return the JSON of the reply."""
        where, _, query = path.partition("?")
        url = address(self._base, where) + (f"?{query}" if query else "")
        with self._translating():
            try:
                async with await self._reply(method, url, body, **options) as response:
                    return read_json(await read_whole(response))
            except CallError as error:
                raise _reaching_all(error) if method == "POST" else error from None

    def _unhurried(self) -> Any:
        """Return a timeout for a large file: only for how long nothing at all comes."""
        import aiohttp

        return aiohttp.ClientTimeout(total=None, sock_connect=self._endpoint.timeout, sock_read=self._endpoint.timeout)


async def _if_there(asked: Awaitable[T]) -> T | None:
    """Return what was asked for, or None where the endpoint says that it is not there."""
    try:
        return await asked
    except CallError as error:
        if error.verdict.error == "UnknownModel":
            return None
        raise


def _reaching_all(error: CallError) -> CallError:
    """What a server says about a batch is not about a row: if it does not pass, no batch can be left there."""
    verdict = error.verdict
    if verdict.reach is Reach.CALL or verdict.error in ("WrongKey", "QuotaUsedUp", "Redirected"):
        return error
    return CallError(Verdict(Reach.RUN, "BatchRefused", _NO_BATCHES), error.message)
