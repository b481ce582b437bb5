"""Files and batches of the OpenAI protocol: requests that are left with the server and answered some time later."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from aiohttp import BodyPartReader, web

from sdg_prefect.simulator.chance import draw, fingerprint
from sdg_prefect.simulator.errors import ApiError, bad_request, server_error, unknown_object, unknown_path
from sdg_prefect.simulator.responses import HEADERS, json_bytes, json_response
from sdg_prefect.simulator.settings import SimulatorSettings
from sdg_prefect.simulator.tally import Tally

Body = dict[str, Any]
Answer = Callable[[str, Body], Body]
"""Answers a request to a path with the body of its reply, or raises an ApiError."""

_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings")
_ON_THE_WAY = ("validating", "in_progress", "cancelling")
_DAY = 24 * 3600


@dataclass
class Batch:
    """A batch and its requests."""

    body: Body
    """As the protocol shows it."""
    lines: list[Body]
    began: float
    """On the clock of ``time.monotonic``."""


@dataclass
class Batches:
    """The files and batches that a simulated model was given."""

    answer: Answer
    tally: Tally
    files: dict[str, tuple[Body, bytes]] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    """How often each request came in a batch, by its content."""

    async def handle(self, request: web.BaseRequest, path: str, settings: SimulatorSettings) -> web.Response:
        """Answer a request for a path such as ``/files/file-1/content``."""
        for batch in self.batches.values():
            self._go_on(batch, settings)
        match request.method, path.strip("/").split("/"):
            case "POST", ["files"]:
                return json_response(await self._upload(request))
            case "GET", ["files", name]:
                return json_response(_found(self.files, name)[0])
            case "GET", ["files", name, "content"]:
                return web.Response(body=_found(self.files, name)[1], headers=HEADERS)
            case "DELETE", ["files", name]:
                _found(self.files, name)
                del self.files[name]
                return json_response({"id": name, "object": "file", "deleted": True})
            case "POST", ["batches"]:
                return json_response(self._create(await request.read(), settings))
            case "GET", ["batches"]:
                return json_response(self._list(request.query.get("after"), int(request.query.get("limit", 20))))
            case "GET", ["batches", name]:
                return json_response(_found(self.batches, name).body)
            case "POST", ["batches", name, "cancel"]:
                return json_response(self._cancel(_found(self.batches, name)))
        raise unknown_path(request.method, request.path)

    async def _upload(self, request: web.BaseRequest) -> Body:
        given: dict[str, bytes] = {}
        name = ""
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader):
                given[part.name or ""] = await _read(part)
                name = part.filename or name
        if given.get("purpose") != b"batch" or "file" not in given:
            raise bad_request("a file for the purpose 'batch' is expected", "file")
        return self._add_file(given["file"], name, "batch")

    def _add_file(self, content: bytes, name: str, purpose: str) -> Body:
        body: Body = {
            "id": f"file-{uuid4().hex}",
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[body["id"]] = (body, content)
        return body

    def _create(self, data: bytes, settings: SimulatorSettings) -> Body:
        asked = json.loads(data)
        if asked.get("endpoint") not in _PATHS or asked.get("completion_window") != "24h":
            raise bad_request("'endpoint' or 'completion_window' is not one that is served", "endpoint")
        lines, problems = _read_lines(_found(self.files, str(asked.get("input_file_id")))[1], asked["endpoint"], settings)
        now = int(time.time())
        body: Body = {
            "id": f"batch_{uuid4().hex}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": {"object": "list", "data": problems} if problems else None,
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "failed" if problems else "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + _DAY,
            "request_counts": {"total": 0 if problems else len(lines), "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
        }
        self.batches[body["id"]] = Batch(body, lines, time.monotonic())
        self.tally.batches += 1
        self.tally.batch_requests += len(lines)
        return body

    def _list(self, after: str | None, limit: int) -> Body:
        """List batches, the newest first."""
        names = list(reversed(self.batches))
        start = names.index(after) + 1 if after in self.batches else 0
        shown = [self.batches[name].body for name in names[start : start + limit]]
        return {"object": "list", "data": shown, "has_more": start + limit < len(names)}

    def _cancel(self, batch: Batch) -> Body:
        if batch.body["status"] in _ON_THE_WAY:
            batch.body["status"] = "cancelling"
        return batch.body

    def _go_on(self, batch: Batch, settings: SimulatorSettings) -> None:
        """Bring a batch to where it is by now."""
        match batch.body["status"]:
            case "cancelling":
                self._end(batch, "cancelled", [("batch_cancelled", line) for line in batch.lines], [])
            case "validating" | "in_progress":
                share = (time.monotonic() - batch.began) / settings.batch_seconds if settings.batch_seconds else 1.0
                batch.body["status"] = "in_progress"
                batch.body["request_counts"]["completed"] = int(len(batch.lines) * min(share, 1.0))
                if share >= 1.0:
                    self._work(batch, settings)

    def _work(self, batch: Batch, settings: SimulatorSettings) -> None:
        """Answer the requests of a batch, all at once."""
        left: list[tuple[str, Body]] = []
        lines: list[tuple[int, Body, Body]] = []
        for line in batch.lines:
            chance = self._chance(line["body"], settings)
            if chance < settings.batch_expired_share:
                left.append(("batch_expired", line))
                continue
            try:
                if chance < settings.batch_expired_share + settings.batch_failed_share:
                    raise server_error(500)
                lines.append((200, self.answer(batch.body["endpoint"].removeprefix("/v1"), line["body"]), line))
            except ApiError as error:
                lines.append((error.status, error.body, line))
        self._end(batch, "expired" if left else "completed", left, lines)

    def _chance(self, body: Body, settings: SimulatorSettings) -> float:
        """Draw what becomes of a request; another time it is drawn anew."""
        key = fingerprint(json.dumps(body, sort_keys=True))
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        return draw(settings.seed, key, attempt, "batch")

    def _end(self, batch: Batch, status: str, left: list[tuple[str, Body]], lines: list[tuple[int, Body, Body]]) -> None:
        """End a batch: its files get a line for each request, in an order that is not the order in which they came."""
        good = [_line(line, status_code, body) for status_code, body, line in lines if status_code == 200]
        bad = [_line(line, status_code, body) for status_code, body, line in lines if status_code != 200]
        bad += [_line(line, code=code) for code, line in left]
        for field_name, found in (("output_file_id", good), ("error_file_id", bad)):
            if found:
                content = b"".join(json_bytes(one) + b"\n" for one in reversed(found))
                batch.body[field_name] = self._add_file(content, f"{batch.body['id']}.jsonl", "batch_output")["id"]
        batch.body["status"] = status
        batch.body["request_counts"] = {"total": len(batch.lines), "completed": len(good), "failed": len(bad)}


async def _read(part: BodyPartReader) -> bytes:
    """Read a part of a form of any size."""
    pieces: list[bytes] = []
    while piece := await part.read_chunk(2**18):
        pieces.append(bytes(piece))
    return b"".join(pieces)


def _found(kept: dict[str, Any], name: str) -> Any:
    if name not in kept:
        raise unknown_object(name)
    return kept[name]


def _line(line: Body, status: int = 0, body: Body | None = None, code: str = "") -> Body:
    """Write the line of a request in a file of results."""
    response = {"status_code": status, "request_id": uuid4().hex, "body": body} if status else None
    error = {"code": code, "message": "This request could not be executed before the batch ended."} if code else None
    return {"id": f"batch_req_{uuid4().hex}", "custom_id": line["custom_id"], "response": response, "error": error}


def _read_lines(content: bytes, endpoint: str, settings: SimulatorSettings) -> tuple[list[Body], list[Body]]:
    """Read the requests of a file, and what is wrong with it."""
    lines: list[Body] = []
    seen: set[str] = set()
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = json.loads(text)
            name, body = line["custom_id"], dict(line["body"])
        except (ValueError, KeyError, TypeError) as error:
            return [], [_problem("invalid_json_line", f"This line is not a request: {error}", number)]
        if name in seen:
            return [], [_problem("duplicate_custom_id", f"The custom_id '{name}' is there twice.", number)]
        if line.get("url") != endpoint or line.get("method") != "POST":
            return [], [_problem("mismatched_url", "The URL of this request is not that of the batch.", number)]
        if lines and body.get("model") != lines[0]["body"].get("model"):
            return [], [_problem("mismatched_model", "A batch is for one model.", number)]
        seen.add(name)
        lines.append({**line, "body": body})
    if not lines:
        return [], [_problem("empty_file", "The file has no requests.", None)]
    if len(lines) > settings.batch_max_requests:
        return [], [_problem("too_many_tasks", f"More than {settings.batch_max_requests} requests.", None)]
    if settings.batch_enqueued is not None and len(lines) > settings.batch_enqueued:
        return [], [_problem("token_limit_exceeded", "Enqueued token limit reached.", None)]
    return lines, []


def _problem(code: str, message: str, line: int | None) -> Body:
    return {"code": code, "message": message, "param": None, "line": line}
