"""Values that match a JSON schema."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sdg_prefect.simulator.chance import pick
from sdg_prefect.simulator.patterns import text_for
from sdg_prefect.simulator.roles import Kind, kind_of
from sdg_prefect.simulator.tools import calls_for
from sdg_prefect.simulator.writing import Writer

_FORMATS = {
    "date": "2024-05-17",
    "date-time": "2024-05-17T10:30:00Z",
    "time": "10:30:00Z",
    "email": "reader@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uuid": "7f1d8a52-3c64-4b0e-9f27-5d0c6e1ab934",
}
_DEPTH_LIMIT = 12
_CALL_PARTS = {"name", "arguments"}
"""What the schema of a call of a tool has."""


class SchemaWriter:
    """Makes values for one JSON schema from the words of one row."""

    def __init__(self, schema: dict[str, Any], writer: Writer, key: str) -> None:
        self._root = schema
        self._writer = writer
        self._key = key

    def value(self) -> Any:
        """Return a value that matches the schema."""
        return self._value(self._root, "answer", 0, 0)

    def _value(self, schema: Any, name: str, turn: int, depth: int) -> Any:
        schema = self._resolve(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._one_of(schema["enum"], name, turn)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                variants = [self._resolve(variant) for variant in schema[choice]]
                best = next((one for one in variants if one.get("type") != "null"), variants[0])
                return self._value({**schema, choice: None, **best} | {choice: best.get(choice)}, name, turn, depth + 1)
        types = schema.get("type")
        kind = next((one for one in types if one != "null"), "null") if isinstance(types, list) else types
        if kind == "object" or (kind is None and "properties" in schema):
            return self._object(schema, turn, depth)
        if kind == "array" or (kind is None and "items" in schema):
            return self._array(schema, name, depth)
        if kind == "boolean":
            return self._writer.approves
        if kind in ("integer", "number"):
            return self._number(schema, kind == "integer")
        return None if kind == "null" else self._text(schema, name, turn)

    def _resolve(self, schema: Any) -> dict[str, Any]:
        """Follow `$ref` and merge `allOf`, and drop keys that say nothing."""
        if not isinstance(schema, dict):
            return {}
        for _ in range(_DEPTH_LIMIT):
            if "$ref" not in schema:
                break
            target: Any = self._root
            for step in str(schema["$ref"]).lstrip("#/").split("/"):
                target = target.get(step, {}) if isinstance(target, dict) and step else target
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        for branch in schema.get("allOf") or ():
            part = self._resolve(branch)
            properties = {**schema.get("properties", {}), **part.get("properties", {})}
            required = [*schema.get("required", ()), *part.get("required", ())]
            schema = {
                **schema,
                **part,
                **({"properties": properties, "required": required} if properties else {}),
            }
        return {key: value for key, value in schema.items() if value is not None or key == "const"}

    def _object(self, schema: dict[str, Any], turn: int, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", ())
        names = properties if depth < _DEPTH_LIMIT // 2 else [name for name in properties if name in required]
        if set(properties) >= _CALL_PARTS and self._calls:
            return {**self._calls[turn % len(self._calls)]}
        made = {name: self._value(properties[name], name, turn, depth + 1) for name in names}
        for name in required:
            made.setdefault(name, self._text({}, name, turn))
        return made

    @cached_property
    def _calls(self) -> list[dict[str, Any]]:
        """The calls of the tools that the prompt offers."""
        reading = self._writer.reading
        return calls_for(reading.tools, reading.question, self._key, carefully=self._writer.approves)

    def _array(self, schema: dict[str, Any], name: str, depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", 100)
        kind = kind_of(name)
        wanted = 3 if kind in (Kind.KEYWORDS, Kind.FACTS, Kind.CRITERIA) else self._writer.turns()
        wanted = 0 if depth > _DEPTH_LIMIT // 2 else wanted
        singular = name.removesuffix("s")
        items = schema.get("items", {})
        if self._writer.reading.tools and set(self._resolve(items).get("properties", {})) >= _CALL_PARTS:
            wanted = len(self._calls)
        turns = range(max(least, min(wanted, most)))
        return [self._value(items, singular, turn, depth + 1) for turn in turns]

    def _number(self, schema: dict[str, Any], is_whole: bool) -> float:
        edge = 1 if is_whole else 0.01
        low, high = schema.get("minimum"), schema.get("maximum")
        if "exclusiveMinimum" in schema:
            low = schema["exclusiveMinimum"] + edge
        if "exclusiveMaximum" in schema:
            high = schema["exclusiveMaximum"] - edge
        if low is None and high is None:
            number: float = self._writer.score_number()
        else:
            bottom: float = low if low is not None else min(0.0, high or 0.0)
            top: float = high if high is not None else bottom + 4
            number = top if self._writer.approves else bottom
        if step := schema.get("multipleOf"):
            number = number // step * step if self._writer.approves else -(-number // step) * step
        return int(number) if is_whole else float(number)

    def _text(self, schema: dict[str, Any], name: str, turn: int) -> str:
        if (pattern := schema.get("pattern")) is not None and (made := text_for(pattern, f"{self._key} {turn}")):
            return made
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        kind = kind_of(name)
        if kind is Kind.KEYWORDS or name in ("term", "entity", "word"):
            words = self._writer.keyword_list()
            text = words[turn % len(words)]
        elif kind is Kind.FACTS:
            facts = self._writer.fact_list()
            text = facts[turn % len(facts)]
        elif kind is Kind.CRITERIA:
            text = self._writer.write(kind).split("\n")[turn % 3].split(" ", 1)[1]
        else:
            text = self._writer.write(kind, turn, paired=self._asks_questions)
        while len(text) < schema.get("minLength", 0):
            text = f"{text} {self._writer.write(Kind.PASSAGE, turn)}"
        return text[: schema.get("maxLength", len(text))]

    @property
    def _asks_questions(self) -> bool:
        """Whether answers in this schema belong to questions beside them."""
        return '"question"' in str(self._root).replace("'", '"')

    def _one_of(self, choices: list[Any], name: str, turn: int) -> Any:
        if all(isinstance(choice, str) for choice in choices):
            return self._writer.choose(tuple(choices))
        return pick(choices, self._key, name, turn)
