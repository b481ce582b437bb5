"""Reading a prompt: what it gives, what it asks for, in which form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sdg_prefect.simulator import asking
from sdg_prefect.simulator.markup import Markup, Slot, read_markup
from sdg_prefect.simulator.roles import HEADING_WORDS, Kind, Role, role_of
from sdg_prefect.simulator.tools import Tool, offered_tools
from sdg_prefect.simulator.wording import content_words, key_words, names_in, sentences_of

_CHAT_TEMPLATE = re.compile(r"<\|[^|<>\n]{1,40}\|>|\[/?INST\]|<<?/?SYS>>?|</?s>|<(?:start|end)_of_turn>")
_HEADING_LINE = re.compile(r"^[^\n:]{1,240}:\**[ \t]*|^[ \t#*]{0,6}[A-Za-z]\w*(?: \w+){0,3}[ \t]*$", re.MULTILINE)
_WHOSE = "the|user|input|source|original|your|new|model|student|ai|candidate|reference|generated|given|assistant"
_HEADING = re.compile(
    rf"[ \t#*>-]{{0,6}}(?:(?:{_WHOSE}) ){{0,2}}"
    rf"(?P<short>(?:{HEADING_WORDS})(?: text| content)?)(?:\**:\**|[ \t]*$)"
    r"|[^\n]*\b(?:here(?: is|'s|’s| are)|below|following|given|this)\b"
    rf"[^\n:]{{0,40}}?\b(?P<long>{HEADING_WORDS})\b[^\n:]{{0,50}}:",
    re.IGNORECASE,
)
_CLOSING_WORDS = re.compile(
    r"\n[ \t]*\n[ \t>*-]*(?:return|respond|reply|output|provide|please|write|generate|give|rate|do not"
    r"|remember|strictly|important|answer (?:with|in|yes|only|the|this)|your (?:answer|task|response|reply)"
    r"|based on (?:the|this|these)|now (?:generate|write|answer|it|give))\b",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"(?:[-*•]|\d{1,2}[.)]) |[^\n]*:\n\s*(?:[-*•]|\d{1,2}[.)]) "
    r"|(?:you are|please|provide|develop|create|generate|return|follow|here (?:is|are)|respond|do not"
    r"|your task|now)\b",
    re.IGNORECASE,
)
_USER_TURN = re.compile(
    r"(?:<\|start_header_id\|>user<\|end_header_id\|>|<\|im_start\|>user|<start_of_turn>user|<\|user\|>|\[INST\])\s*\Z"
)
_TEMPLATE_SIGNS = ("<|", "INST]", "<s>", "_of_turn>")
_HEADERS = re.compile(r"^[ \t]*(?:system|user|assistant|model)[ \t]*$", re.MULTILINE)
_REQUEST = re.compile(r"\s*(?:you|write|read|give|ask|answer|judge|reply|rate|say|think of|the answer)\b", re.IGNORECASE)
_TOLD_SCHEMA = re.compile(r"^[^\n]*\bJSON Schema:\s*\{.*", re.MULTILINE | re.IGNORECASE)
"""A sentence that tells the schema of the reply, and the schema on one line: nothing of the row."""
_MULTIPLE_CHOICE = re.compile(r"\bmultiple[- ]choice questions?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What the simulated model understood of a prompt."""

    slots: tuple[Slot, ...]
    """Tagged places to fill, in order; empty for a free reply."""
    material: str
    """The text to work from."""
    question: str
    response: str
    task: str
    prompt: str
    instructions: str
    """The prompt without the row's sections."""
    opens_user_turn: bool = False
    """Whether the prompt is a chat template up to where a user speaks, so that the reply is what a user says (Magpie)."""

    @cached_property
    def want(self) -> Kind:
        """What a free reply should be."""
        instructions = self.instructions
        if self.opens_user_turn:
            return Kind.FIRST_MESSAGE
        if asking.speaks_of_json(instructions):
            return Kind.JSON
        if asking.speaks_of_rating(instructions) and self.scale:
            return Kind.SCORE
        if self.verdicts:
            return Kind.VERDICT
        return Kind.LABEL if len(self.options) > 1 else asking.wanted_kind(instructions)

    @cached_property
    def verdicts(self) -> tuple[str, str] | None:
        """The words for yes and no."""
        return asking.verdicts_of(self.instructions)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """The labels to choose from."""
        return asking.options_of(self.instructions)

    @cached_property
    def scale(self) -> tuple[int, int] | None:
        """The lowest and highest score."""
        return asking.scale_of(self.instructions)

    @cached_property
    def count(self) -> int | None:
        """How many items are wanted."""
        return asking.count_of(self.instructions)

    @cached_property
    def wants_several(self) -> bool:
        """Whether the form that the prompt shows is to be filled several times."""
        return asking.wants_several(self.instructions)

    @cached_property
    def is_multiple_choice(self) -> bool:
        """Whether questions come with options."""
        return _MULTIPLE_CHOICE.search(self.instructions) is not None

    @cached_property
    def tools(self) -> tuple[Tool, ...]:
        """The tools that the prompt offers."""
        return offered_tools(self.prompt) if '"parameters"' in self.prompt else ()

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The sentences to write with: never empty."""
        for text in (self.material, self.question, self.task, self.response, self.instructions):
            if found := sentences_of(text):
                return found
        return (self.prompt.strip()[:200] or "There was nothing to read",)

    @cached_property
    def key_words(self) -> tuple[str, ...]:
        """The telling words of the row, never empty."""
        words = key_words(f"{self.question}\n{self.material or self.task or self.response}") or key_words(self.prompt)
        return words or ("text",)

    @cached_property
    def names(self) -> frozenset[str]:
        """The words of the row that keep their capital."""
        return names_in(f"{self.question} {self.material} {self.task}")

    @cached_property
    def sentence_words(self) -> tuple[frozenset[str], ...]:
        """The telling words of each sentence."""
        return tuple(content_words(sentence) for sentence in self.sentences)

    @cached_property
    def json_shape(self) -> dict[str, Any]:
        """A JSON schema of the object the prompt asks for; empty if it shows none."""
        return asking.json_shape_of(self.prompt, self.instructions)


@lru_cache(maxsize=512)
def read_prompt(text: str) -> Reading:
    """Read a prompt."""
    prompt = _CHAT_TEMPLATE.sub("\n", text) if any(sign in text for sign in _TEMPLATE_SIGNS) else text
    if _USER_TURN.search(text):
        return _read_open_turn(prompt)
    markup = read_markup(prompt)
    given = _given(prompt, markup)
    instructions = prompt
    for role, body in given.items():
        if role is not Role.TASK:
            instructions = instructions.replace(body, "\n")
    if not given:
        material, question, instructions = _split_untagged(prompt, markup.slots)
        given = {Role.MATERIAL: material, Role.QUESTION: question}
    return Reading(
        slots=markup.slots,
        material=given.get(Role.MATERIAL, ""),
        question=given.get(Role.QUESTION, ""),
        response=given.get(Role.RESPONSE, ""),
        task=given.get(Role.TASK, ""),
        prompt=prompt,
        instructions=instructions,
    )


def _read_open_turn(prompt: str) -> Reading:
    """Read a chat template that ends where a user begins to speak: what the system says is all that there is."""
    said = _HEADERS.sub("\n", prompt).strip()
    return Reading(
        slots=(), material=said, question="", response="", task="", prompt=prompt, instructions="", opens_user_turn=True
    )


def _given(prompt: str, markup: Markup) -> dict[Role, str]:
    """Return the row's sections by role: the last of each, as examples come before the row."""
    asked = {slot.name.lower() for slot in markup.slots}
    found: dict[Role, tuple[int, str]] = {}
    for place, name, body in (*markup.sections, *_headed_sections(prompt, markup.marks)):
        role = role_of(name)
        if role is not None and name not in asked and body and place >= found.get(role, (-1, ""))[0]:
            found[role] = (place, body)
    for place, name, body in markup.sections:
        role = role_of(name)
        if role is Role.MATERIAL or (role is Role.QUESTION and Role.MATERIAL not in found):
            found.setdefault(role, (place, body))
    return {role: body for role, (_, body) in found.items()}


def _headed_sections(prompt: str, marks: tuple[int, ...]) -> Iterator[tuple[int, str, str]]:
    """Yield the place, name and body of each section under a heading such as `Document:`."""
    headings = [
        (line.start(), line.end(), heading["short"] or heading["long"])
        for line in _HEADING_LINE.finditer(prompt)
        if (heading := _HEADING.match(line.group()))
    ]
    for index, (start, body_start, heading_name) in enumerate(headings):
        end = headings[index + 1][0] if index + 1 < len(headings) else len(prompt)
        end = min((mark for mark in marks if body_start <= mark < end), default=end)
        body = prompt[body_start:end]
        if closing := _CLOSING_WORDS.search(body):
            body = body[: closing.start()]
        name = heading_name.lower()
        body = body.strip()
        yield start, name, body.split("\n\n")[0] if role_of(name) is Role.TASK else body


def _split_untagged(prompt: str, slots: tuple[Slot, ...]) -> tuple[str, str, str]:
    """Split a prompt without sections into material, question and instructions."""
    text = prompt
    if slots:
        told = [line for line in prompt.splitlines() if not _is_request(line, slots)]
        text = "\n".join(told) if any(map(str.strip, told)) else prompt
    text = _TOLD_SCHEMA.sub("", text).strip() or text
    paragraphs = [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]
    telling = [paragraph for paragraph in paragraphs if not _INSTRUCTION.match(paragraph)] if paragraphs[1:] else []
    longest = max(telling, key=len, default="")
    if len(longest) > 120 and len(sentences_of(longest)) > 1:
        return longest, "", prompt.replace(longest, "\n")
    return "", "\n".join(telling) or text.strip(), prompt


def _is_request(line: str, slots: tuple[Slot, ...]) -> bool:
    """Tell whether a line says what is to be done, or how the reply is to be written."""
    return bool(_REQUEST.match(line) or _INSTRUCTION.match(line)) or any(slot.opening and slot.opening in line for slot in slots)
