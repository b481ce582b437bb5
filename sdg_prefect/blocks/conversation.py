"""What messages of a conversation look like in a column. The types never depend on the rows, so that shards fit together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def prompt_type() -> pa.DataType:
    """Return the type of a prompt: a list of messages with ``role`` and ``content``."""
    import pyarrow as pa

    return pa.list_(message_type())


def tool_calls_type() -> pa.DataType:
    """Return the type of the tool calls of a message, as the OpenAI protocol has them."""
    import pyarrow as pa

    function = pa.struct([("name", pa.string()), ("arguments", pa.string())])
    return pa.list_(pa.struct([("id", pa.string()), ("type", pa.string()), ("function", function)]))


def message_type(*, has_tools: bool = False) -> pa.DataType:
    """Return the type of a message that trainers read: role and content, and where tools are called what belongs to a call."""
    import pyarrow as pa

    about_tools = [("tool_calls", tool_calls_type()), ("tool_call_id", pa.string()), ("name", pa.string())] if has_tools else []
    return pa.struct([("role", pa.string()), ("content", pa.string()), *about_tools])


def response_type() -> pa.DataType:
    """Return the type of a model's reply: a message with what it thought and which tools it calls."""
    import pyarrow as pa

    return pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("reasoning_content", pa.string()),
            ("tool_calls", tool_calls_type()),
        ]
    )


def trace_message_type() -> pa.DataType:
    """Return the type of a message in what an agent did: also the result of a tool, with the call that it answers."""
    import pyarrow as pa

    return pa.struct([("id", pa.string()), ("name", pa.string()), ("tool_call_id", pa.string()), *response_type()])


def agent_response_type() -> pa.DataType:
    """Return the type of what an agent sends back."""
    import pyarrow as pa

    outputs = pa.struct([("session_id", pa.string())])
    return pa.struct([("messages", pa.list_(trace_message_type())), ("custom_outputs", outputs)])


def plain_tool_calls(calls: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Return tool calls with the keys of ``tool_calls_type``; None where there are none.

    A call of a custom tool has its input as ``arguments``. What an agent writes as ``name`` and ``args`` becomes a function.
    """
    return [_plain_call(call, place) for place, call in enumerate(calls)] if calls else None


def _plain_call(call: Mapping[str, Any], place: int) -> dict[str, Any]:
    said = call.get("function") or call.get("custom") or call
    arguments: Any = next((said[name] for name in ("arguments", "input", "args") if said.get(name) is not None), {})
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    kind = call.get("type")
    return {
        "id": str(call.get("id") or f"call_{place}"),
        "type": kind if kind in ("function", "custom") else "function",
        "function": {"name": str(said.get("name") or ""), "arguments": written},
    }


def without_nulls(value: Any) -> Any:
    """Leave out of objects what is null there: in a column each object has the keys of all others."""
    if isinstance(value, Mapping):
        return {key: without_nulls(part) for key, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def as_messages(value: Any) -> list[dict[str, Any]]:
    """Return what a cell holds as messages: a text is what the user says, a mapping one message. Nulls are left out."""
    items = value if isinstance(value, list) else [value]
    return [_message(item) for item in items if item is not None]


def _message(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        return {"role": "user", "content": str(item)}
    message = {key: value for key, value in item.items() if value is not None and key != "tool_calls"}
    calls = plain_tool_calls(item.get("tool_calls"))
    return {"role": "user", "content": "", **message, **({"tool_calls": calls} if calls else {})}
