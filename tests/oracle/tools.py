"""A small server of tools that speaks MCP: what they give has each form that a result can have."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.services import serve_app


@dataclass
class Tools:
    """The server, and what its tools were called with."""

    url: str = ""
    called: list[tuple[str, Any, list[str]]] = field(default_factory=list)
    """Name, arguments and headers with keys of each call."""


@contextmanager
def serve_tools() -> Iterator[Tools]:
    """Serve."""
    made = Tools()
    with serve_app(_app(made)) as url:
        made.url = f"{url}/mcp"
        yield made


def _app(made: Tools) -> Any:
    from mcp.server.mcpserver import Context, Image, MCPServer

    server = MCPServer("tools", log_level="CRITICAL")

    def note(context: Context[Any, Any], name: str, **arguments: Any) -> None:
        made.called.append((name, arguments, [key for key in context.headers or {} if key == "x-token"]))

    @server.tool()
    def shout(word: str, context: Context[Any, Any]) -> str:
        """Shout a word: ü."""
        note(context, "shout", word=word)
        return word.upper()

    @server.tool(description="")
    def add(context: Context[Any, Any], a: int, b: float = 2.5) -> float:
        note(context, "add", a=a, b=b)
        return a + b

    @server.tool()
    def nothing(context: Context[Any, Any]) -> None:
        """Give nothing."""
        note(context, "nothing")

    @server.tool()
    def look(context: Context[Any, Any], at: dict[str, Any], deep: list[int] | None = None) -> dict[str, Any]:
        """Give an object."""
        note(context, "look", at=at, deep=deep)
        return {"at": at, "deep": deep}

    @server.tool()
    def several(context: Context[Any, Any]) -> list[str]:
        """Give two texts."""
        note(context, "several")
        return ["one", "two"]

    @server.tool(structured_output=False)
    def draw(context: Context[Any, Any]) -> list[Any]:
        """Give a picture and a text."""
        note(context, "draw")
        return [Image(data=b"p", format="png"), "a picture"]

    @server.tool()
    def fail(context: Context[Any, Any]) -> str:
        """Fail."""
        note(context, "fail")
        raise ValueError("it broke")

    return server.streamable_http_app()
