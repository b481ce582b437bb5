"""Small servers that speak as Langflow, LangGraph and a server of one's own do, and remember what they were asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[str, Any], Any]
"""Gives the reply to a path and a body: something to send as JSON, or a status."""


@dataclass
class Service:
    """A server on the loopback."""

    url: str
    asked: list[tuple[str, Any, Mapping[str, str]]] = field(default_factory=list)
    """Path, body and headers of each request that was posted."""


@contextmanager
def serve(answer: Answer) -> Iterator[Service]:
    """Serve the answers of a function."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._send(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            service.asked.append((self.path, body, {name.lower(): value for name, value in self.headers.items()}))
            said = answer(self.path, body)
            self._send(*((said, {"error": "no"}) if isinstance(said, int) else (200, said)))

        def _send(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service = Service(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


def langflow(_: str, body: Any) -> Any:
    """Answer as Langflow does, after a look at a tool."""
    used = {
        "type": "tool_use",
        "name": "weather",
        "tool_input": {"place": body["input_value"]},
        "output": {"content": [{"type": "text", "text": "sunny"}]},
    }
    message = {
        "text": f"said {body['input_value']}",
        "content_blocks": [{"contents": []}, {"contents": [{"type": "text"}, used]}],
    }
    return {"session_id": body["session_id"], "outputs": [{"outputs": [{"results": {"message": message}}]}]}


def langgraph(path: str, body: Any) -> Any:
    """Answer as LangGraph does: a thread first, then the state of the graph."""
    if path == "/threads":
        return {"thread_id": f"t-{body['metadata']['session_id']}"}
    call = {"name": "weather", "args": {"place": "here"}, "id": "c9", "type": "tool_call"}
    return {
        "messages": [
            *({"type": "human", "content": message["content"]} for message in body["input"]["messages"]),
            {"type": "ai", "content": "", "tool_calls": [call]},
            {"type": "tool", "name": "weather", "content": "sunny", "tool_call_id": "c9"},
            {"type": "ai", "content": [{"type": "text", "text": "It is "}, {"type": "text", "text": "sunny."}]},
        ]
    }


def tool_caller(_: str, body: Any) -> Any:
    """Answer as a model that looks up what it is asked, and then says what it was told."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    call = {"id": "c1", "type": "function", "function": {"name": "shout", "arguments": json.dumps({"word": _last(body)})}}
    message = {"content": results[-1]} if results else {"content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    return {"model": body["model"], "choices": [{"message": {"role": "assistant", **message}}], "usage": usage}


def _last(body: Any) -> str:
    return str([message["content"] for message in body["messages"] if message["role"] == "user"][-1])


@dataclass
class ToolServer:
    """A server of tools on the loopback."""

    url: str = ""
    called: list[str] = field(default_factory=list)
    """What its tools were called with."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    """Headers of each request."""


@contextmanager
def serve_tools() -> Iterator[ToolServer]:
    """Serve tools over MCP: one that shouts a word, one that fails, and one that takes its time."""
    import asyncio

    from mcp.server.mcpserver import MCPServer

    server, made = MCPServer("tools"), ToolServer()

    @server.tool()
    def shout(word: str) -> str:
        """Shout a word."""
        made.called.append(word)
        return word.upper()

    @server.tool()
    def fail() -> str:
        """Fail."""
        raise ValueError("it broke")

    @server.tool()
    async def dawdle() -> str:
        """Take a while."""
        await asyncio.sleep(5)
        return "late"

    inner = server.streamable_http_app()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            made.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await inner(scope, receive, send)

    with serve_app(app) as url:
        made.url = f"{url}/mcp"
        yield made


@contextmanager
def serve_app(app: Any) -> Iterator[str]:
    """Serve an ASGI app on the loopback, and give its address."""
    import socket

    import uvicorn

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        running = uvicorn.Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join(10)
