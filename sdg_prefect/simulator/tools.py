"""Tools that a prompt offers: requests which they can serve, calls that fit them, and what they return."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sdg_prefect.simulator.chance import draw, pick
from sdg_prefect.simulator.patterns import text_for
from sdg_prefect.simulator.wording import content_words, key_words

Tool = Mapping[str, Any]
"""A tool: its ``name``, its ``description``, and ``parameters``, a JSON Schema."""

_BEGINNING = re.compile(r"\[\s*\{|\{\s*\"(?:type|name|function)\"")
_VALUES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"city|place|town|station|location|origin|destination|from|to", ("Bergen", "Lisbon", "Nagoya", "Tartu", "Cork", "Trieste")),
    (r"date|day", ("2025-03-14", "2025-06-02", "2025-11-28")),
    (r"time|hour", ("07:45", "12:30", "18:10")),
    (r"name|person|author|artist|user|recipient|contact", ("Mira Holt", "Tomas Berg", "Ada Quist")),
    (r"train|flight|number", ("IC 204", "R 17", "NZ 450")),
    (r"currency", ("EUR", "NOK", "JPY")),
    (r"language", ("Portuguese", "Estonian", "Japanese")),
    (r"email|address", ("mira@example.com", "tomas@example.com")),
)
_NUMBERS = {"one": 1, "a": 1, "two": 2, "three": 3, "four": 4}
_CALLS = re.compile(
    rf"\b(\d|{'|'.join(_NUMBERS)}) (?:different )?(?:function |tool )?calls?\b|\bnone of the (?:tools|functions)\b", re.IGNORECASE
)
_LAST_CALL = re.compile(r'\{"name": "[^"\n]+", "arguments": [^\n]*\}\Z')
"""A call of a tool with which a prompt ends: the model stands in for the tool."""
_ENOUGH = 2
"""Words that a request shares with a tool which can serve it."""
_DEEPEST = 4


def offered_tools(prompt: str) -> tuple[Tool, ...]:
    """Find the tools that a prompt shows as JSON, each with or without the ``function`` around it."""
    decoder = json.JSONDecoder()
    found: dict[str, Tool] = {}
    end = 0
    for match in _BEGINNING.finditer(prompt):
        if match.start() < end:
            continue
        try:
            value, end = decoder.raw_decode(prompt, match.start())
        except ValueError:
            continue
        for tool in _tools_in(value):
            found.setdefault(str(tool["name"]), tool)
    return tuple(found.values())


def _tools_in(value: Any) -> Iterator[Tool]:
    for item in value if isinstance(value, list) else [value]:
        tool = item.get("function", item) if isinstance(item, Mapping) else None
        if isinstance(tool, Mapping) and "name" in tool and isinstance(tool.get("parameters"), Mapping):
            yield tool


def calls_wanted(instructions: str) -> int:
    """Return how many calls the request that a prompt wants should need; what it says last counts, and one if it says nothing."""
    found = _CALLS.findall(instructions)
    if not found:
        return 1
    said = found[-1].lower()
    return _NUMBERS.get(said) or int(said or 0)


def request_for(tools: Sequence[Tool], wanted: int, key: str) -> str:
    """Write what a user asks for whom so many of the tools can help, with the values that they need."""
    start = int(draw(key, "tool") * len(tools))
    chosen = [tools[(start + step) % len(tools)] for step in range(min(wanted, len(tools)))]
    return " Then: ".join(_asked(tool, key) for tool in chosen)


def _asked(tool: Tool, key: str) -> str:
    said = [f"{name} {_told(value)}" for name, value in _arguments(tool["parameters"], "", key, 0).items()]
    purpose = str(tool.get("description") or tool["name"].replace("_", " ")).split(". ")[0].rstrip(".")
    return f"{purpose}, please: {', '.join(said)}." if said else f"{purpose}, please."


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def calls_for(tools: Sequence[Tool], request: str, key: str, *, carefully: bool) -> list[dict[str, Any]]:
    """Name the calls that serve a request, with arguments that fit: values that it gives, and others where it gives none.

    A request that shares hardly a word with any tool gets no call.

    Args:
        tools: What is offered.
        request: What the user says.
        key: Decides values of which the request says nothing.
        carefully: False to leave out an argument of the first call that its tool requires.
    """
    parts = request.split(" Then: ") if " Then: " in request else [request]
    calls = []
    for part in parts:
        wanted = content_words(part)
        shared = [len(content_words(f"{one['name']} {one.get('description', '')}") & wanted) for one in tools]
        if max(shared) < _ENOUGH:
            continue
        tool = tools[shared.index(max(shared))]
        calls.append(call_of(tool, part, key))
        required = tool["parameters"].get("required") or ()
        if not carefully and len(calls) == 1 and required:
            calls[0]["arguments"].pop(required[0], None)
    return calls


def call_of(tool: Tool, request: str, key: str) -> dict[str, Any]:
    """Call a tool, with the values that a request gives and others where it gives none."""
    return {"name": tool["name"], "arguments": _arguments(tool["parameters"], request, key, 0)}


def result_of(prompt: str, tools: Sequence[Tool], key: str) -> str | None:
    """Write what a tool returns, as JSON, where a prompt shows it and ends with a call of it; None where it does not."""
    found = _LAST_CALL.search(prompt.rstrip())
    try:
        call = json.loads(found[0]) if found else {}
    except ValueError:
        return None
    if not isinstance(call.get("arguments"), dict) or all(tool["name"] != call["name"] for tool in tools):
        return None
    result = {"status": "ok", "value": round(draw(key, "value") * 100, 1)}
    return json.dumps({**call["arguments"], **result}, ensure_ascii=False)


def _arguments(schema: Mapping[str, Any], request: str, key: str, depth: int) -> dict[str, Any]:
    """Fill the parameters that are required, and those that the request names."""
    required = schema.get("required") or ()
    return {
        name: _value(part, name, request, key, depth)
        for name, part in (schema.get("properties") or {}).items()
        if isinstance(part, Mapping) and (name in required or _given(name, request))
    }


def _given(name: str, request: str) -> str:
    """Return the value that a request gives for a name; nothing where it gives none."""
    found = re.search(rf"\b{re.escape(name)} (\[.*?\]|\{{.*?\}}|\"[^\"]*\"|[^,;]+?)(?=,|;|\.?$|\. )", request)
    return found[1].strip().rstrip(".").strip('"') if found else ""


def _value(schema: Mapping[str, Any], name: str, request: str, key: str, depth: int) -> Any:
    given = _given(name, request)
    kinds = schema.get("type")
    kind = next((one for one in kinds if one != "null"), None) if isinstance(kinds, list) else kinds
    if "enum" in schema:
        options = schema["enum"]
        return next((one for one in options if str(one) == given), None) or pick(options, key, name)
    if kind == "object":
        return _arguments(schema, request, key, depth + 1) if depth < _DEEPEST else {}
    if kind == "array":
        items = schema.get("items") or {}
        return [_value(items, name.removesuffix("s"), "", f"{key} {name}", depth + 1)] if depth < _DEEPEST else []
    if kind == "boolean":
        return given == "true" if given else draw(key, name) < 0.5
    if kind in ("integer", "number"):
        return _number(schema, name, given, key, is_whole=kind == "integer")
    if pattern := schema.get("pattern"):
        return given if re.search(pattern, given) else text_for(pattern, f"{key} {name}") or given
    return given or _text(name, key, schema)


def _number(schema: Mapping[str, Any], name: str, given: str, key: str, *, is_whole: bool) -> float:
    if re.fullmatch(r"-?\d+(?:\.\d+)?", given):
        return int(float(given)) if is_whole else float(given)
    low = schema.get("minimum", 1)
    high = schema.get("maximum", low + 9)
    drawn = low + draw(key, name) * (high - low)
    return int(drawn) if is_whole else round(float(drawn), 1)


def _text(name: str, key: str, schema: Mapping[str, Any]) -> str:
    for pattern, values in _VALUES:
        if re.fullmatch(rf"(?:\w+_)?(?:{pattern})", name, re.IGNORECASE):
            return pick(values, key, name)
    words = key_words(str(schema.get("description") or name.replace("_", " ")), 6)
    return " ".join(words[:2]) or name
