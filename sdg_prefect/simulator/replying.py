"""Putting a reply together in the form the prompt and the call ask for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sdg_prefect.simulator.chance import fingerprint
from sdg_prefect.simulator.crafts import crafted
from sdg_prefect.simulator.markup import Slot
from sdg_prefect.simulator.patterns import text_for
from sdg_prefect.simulator.reading import Reading, read_prompt
from sdg_prefect.simulator.roles import Kind, kind_of
from sdg_prefect.simulator.shapes import SchemaWriter
from sdg_prefect.simulator.tools import result_of
from sdg_prefect.simulator.writing import Writer

MALFORMED = "Sorry, I started on this but could not keep to the form that was asked for, so here is a plain sentence."
"""The reply of a call whose fate is to be malformed."""

_ANSWER_SHAPE = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
_JUDGING = (Kind.VERDICT, Kind.SCORE, Kind.LABEL)


@dataclass(frozen=True, slots=True)
class Constraint:
    """What the call itself demands of a reply, whatever the prompt says."""

    choices: tuple[str, ...] = ()
    """The reply is one of these."""
    schema: dict[str, Any] | None = None
    """The reply is JSON that matches this."""
    is_json: bool = False
    """The reply is a JSON object."""
    pattern: str | None = None
    """The reply matches this regular expression."""


FREE = Constraint()
"""No demands."""


def write_reply(prompt: str, seed: int | None, sample: int, constraint: Constraint, thinks: bool) -> str:
    """Write the reply to a prompt: the same one for the same prompt, seed and sample.

    Args:
        prompt: The text of the prompt.
        seed: The `seed` parameter of the call.
        sample: Which of the `n` replies.
        constraint: What the call demands.
        thinks: Whether to show a train of thought first.
    """
    reading = read_prompt(prompt)
    key = fingerprint(prompt, str(seed), str(sample))
    writer = Writer(reading, key)
    if constraint is not FREE and (text := _constrained(constraint, reading, writer, key)) is not None:
        return text
    if reading.tools and (result := result_of(prompt, reading.tools, key)) is not None:
        return result
    if reading.slots:
        text = _fill_slots(reading, writer)
    elif reading.want is Kind.JSON:
        text = _json(reading.json_shape or _ANSWER_SHAPE, writer, key)
    else:
        (kind,) = crafted([reading.want], reading)
        text = writer.write(kind)
    return f"<think>\n{writer.write(Kind.THINKING)}\n</think>\n\n{text}" if thinks else text


def _constrained(constraint: Constraint, reading: Reading, writer: Writer, key: str) -> str | None:
    """Return what the call demands, or None if it cannot be had."""
    if constraint.choices:
        pair = reading.verdicts
        if pair and set(pair) == set(constraint.choices):
            return writer.write(Kind.VERDICT)
        return writer.choose(constraint.choices)
    if constraint.schema is not None:
        return _json(constraint.schema, writer, key)
    if constraint.is_json:
        return _json(reading.json_shape or _ANSWER_SHAPE, writer, key)
    return text_for(constraint.pattern, key) if constraint.pattern is not None else None


def _json(schema: dict[str, Any], writer: Writer, key: str) -> str:
    return json.dumps(SchemaWriter(schema, writer, key).value(), ensure_ascii=False)


def _fill_slots(reading: Reading, writer: Writer) -> str:
    """Write every place the prompt wants filled; questions and pairs several times."""
    kinds = _slot_kinds(reading)
    asks = Kind.QUESTION in kinds
    kinds = crafted(kinds, reading)
    repeats = asks or reading.wants_several
    turns = writer.turns() if repeats and reading.slots[0].opening else 1
    blocks = []
    for turn in range(turns):
        parts = [
            _wrap(slot, _filled(slot, kind, writer, _turn_of(kinds, place, turn) if repeats else place, paired=asks))
            for place, (slot, kind) in enumerate(zip(reading.slots, kinds, strict=True))
        ]
        blocks.append("\n".join(parts))
    return "\n\n".join(blocks)


def _filled(slot: Slot, kind: Kind, writer: Writer, turn: int, *, paired: bool) -> str:
    return writer.draw(slot.choices) if slot.choices else writer.write(kind, turn, paired=paired)


def _turn_of(kinds: list[Kind], place: int, turn: int) -> int:
    """Return which of all texts of its kind stands in a place: a form with two questions has four in two turns.

    Answers belong to the question of their turn.
    """
    kind = kinds[place]
    if kind is Kind.ANSWER:
        return turn
    return turn * kinds.count(kind) + kinds[:place].count(kind)


def _slot_kinds(reading: Reading) -> list[Kind]:
    """Return what to write in each slot, seen together: an `[Answer]` beside a YES or NO is a verdict."""
    kinds = [kind_of(slot.name) for slot in reading.slots]
    asks = Kind.QUESTION in kinds
    for place, (slot, kind) in enumerate(zip(reading.slots, kinds, strict=True)):
        judging = any(other in _JUDGING for other in kinds[:place] + kinds[place + 1 :])
        is_lone_answer = kind is Kind.ANSWER and not asks and not judging
        if reading.verdicts and (is_lone_answer or (kind is Kind.EXPLANATION and len(kinds) == 1)):
            kinds[place] = Kind.VERDICT
        elif kind is Kind.VERDICT and judging and slot.name.lower().startswith("judg"):
            kinds[place] = Kind.EXPLANATION
        elif kind is Kind.VERDICT and len(reading.options) > 1 and not _is_pair(reading):
            kinds[place] = Kind.LABEL
        elif kind is Kind.VERDICT and reading.verdicts is None and reading.scale:
            kinds[place] = Kind.SCORE
        elif kind is Kind.SCORE and reading.scale is None and len(reading.options) > 1:
            kinds[place] = Kind.LABEL
    return kinds


def _is_pair(reading: Reading) -> bool:
    """Tell whether the prompt's options are no more than its words for yes and no."""
    return reading.verdicts is not None and len(reading.options) <= 2


def _wrap(slot: Slot, body: str) -> str:
    """Put a text between the tags of its slot."""
    if not slot.opening:
        return body
    if slot.opening.rstrip("*").endswith(":"):
        return f"{slot.opening} {body}"
    if slot.opening.startswith("<") and "\n" not in body and len(body) < 80:
        return f"{slot.opening}{body}{slot.closing}"
    return f"{slot.opening}\n{body}\n{slot.closing}".rstrip()
