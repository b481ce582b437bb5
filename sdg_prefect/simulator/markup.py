"""The tags of a prompt: which sections it gives, and which it asks to be filled."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sdg_prefect.simulator.roles import is_given_name

_FENCE = re.compile(
    r"\[(?P<the>The )?(?P<side>Start|Beginning|End) of (?P<name>[^\[\]\n]{1,60})\]"
    r"|<(?P<slash>/?)(?P<tag>[A-Za-z][\w-]{0,40})>"
    r"|\[(?P<stroke>/?)(?P<square>[A-Za-z][\w -]{0,30})\]",
    re.IGNORECASE,
)
_BARE = re.compile(
    r"^[ \t]*\[(?!(?:The )?(?:Start|Beginning|End) of |Your |Insert |Write )"
    r"(?P<name>[A-Za-z][\w /-]{0,30})\](?!\()[ \t]*",
    re.MULTILINE,
)
_LABEL = re.compile(
    r"^[ \t]*(?:\d{1,2}[.)][ \t]+|[-*][ \t]+)?"
    r"(?P<mark>\*{0,2})(?P<name>[A-Z][A-Za-z]*(?: [A-Za-z]+){0,2})(?P=mark):(?P=mark)"
    r"[ \t]*(?P<body>\.{2,}|…|<[^<>\n]{2,80}>|\[[^\[\]\n]{2,80}\]|\{[^{}\n]{2,80}\})[ \t]*$",
    re.MULTILINE,
)
_OPEN_LABEL = re.compile(
    r"^[ \t]*(?P<mark>\*{0,2})(?P<name>[A-Z][A-Za-z]*(?: [A-Za-z]+){0,2})(?P=mark):(?P=mark)\s*\Z",
    re.MULTILINE,
)
_HTML = frozenset(
    "a b blockquote body br code div em h1 h2 h3 h4 h5 h6 head hr html i img li ol p pre s section "
    "small span strong sub sup table tbody td th thead tr u ul".split()
)
_TERMINATORS = frozenset({"end", "stop", "done", "eos"})
_MENTION = re.compile(r"^\W{0,4}(?:and|to|through|then|or|tags?|tokens?|markers?)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"^(?:[.…\s_-]*|(?:your|insert|write|put|add|place)\b[^\n]{0,120}|\[[^\]]*\]|<[^<>]*>|\{[^{}]*\}"
    r"|(?:the |a |an )?(?:[a-z]+ ){0,3}(?:here|text|goes here))$",
    re.IGNORECASE,
)
_CHOICES = re.compile(r"^[\w-]{1,20}(?:, [\w-]{1,20})*,? or [\w-]{1,20}$")
"""A placeholder that says what may stand there, such as `A, B or tie`."""
_FILLING = re.compile(r"\b(?:return|wrap|write|begin|start|generate|put|enclose|output|place|produce|provide)\b", re.IGNORECASE)
_ASKING = re.compile(rf"{_FILLING.pattern}|\b(?:answer|reply|respond|give|format|use)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place the prompt wants filled: its name, what opens it and what closes it."""

    name: str
    opening: str
    closing: str
    choices: tuple[str, ...] = ()
    """What may stand there, where the prompt lists it in the place itself."""


@dataclass(frozen=True, slots=True)
class Markup:
    """The tagged part of a prompt."""

    slots: tuple[Slot, ...] = ()
    """What the prompt asks for, in its order."""
    sections: tuple[tuple[int, str, str], ...] = ()
    """What the prompt gives: the place, lower-case name and body of each section."""
    marks: tuple[int, ...] = ()
    """Where tags stand in the prompt."""


@dataclass(frozen=True, slots=True)
class _Section:
    """One occurrence of a section: given with a body, or asked for."""

    place: int
    name: str
    slot: Slot
    body: str
    asked: bool
    """Named in a sentence about the reply."""
    blank: bool
    """Shown with a placeholder for a body."""


def read_markup(text: str) -> Markup:
    """Find the tags of a prompt and tell what is given from what is asked for."""
    if "[" not in text and "<" not in text and ":" not in text:
        return Markup()
    fenced = list(_fenced_sections(text)) if "[" in text or "<" in text else []
    bare = [one for one in _bare_sections(text) if not _is_closed(one.slot.name, text)] if "[" in text else []
    sections = tuple((one.place, one.name, one.body) for one in (*fenced, *bare) if _is_filled(one))
    slots = _asked_fences(fenced) or _asked_bare(bare) or _asked_labels(text)
    marks = sorted({found.start() for pattern in (_FENCE, _BARE, _OPEN_LABEL) for found in pattern.finditer(text)})
    return Markup(slots=slots, sections=sections, marks=tuple(marks))


def _is_filled(section: _Section) -> bool:
    return not section.asked and not section.blank and bool(section.body)


def _fenced_sections(text: str) -> Iterator[_Section]:
    """Yield each `[Start of X]…[End of X]`, `<x>…</x>` and `[X]…[/X]` of the text."""
    tags = (match for match in _FENCE.finditer(text) if (match["tag"] or "").lower() not in _HTML)
    found = [match for match in tags if not match["square"] or _is_closed(match["square"], text)]
    for index, match in enumerate(found):
        name = (match["name"] or match["tag"] or match["square"]).strip()
        if match["slash"] or match["stroke"] or (match["side"] or "").lower() == "end":
            continue
        following = found[index + 1] if index + 1 < len(found) else None
        end = following.start() if following else len(text)
        raw = text[match.end() : end]
        before = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
        asked = _is_mention(before, raw)
        closing = f"</{name}>" if match["tag"] else f"[/{name}]" if match["square"] else f"[End of {name}]"
        if asked and is_given_name(name) and not _FILLING.search(before):
            continue
        if match["tag"] and not asked and closing not in text:
            continue
        body = raw.strip()
        choices = tuple(re.split(r",? or |, ", body)) if _CHOICES.match(body) else ()
        slot = Slot(name=name, opening=match.group(), closing=closing, choices=choices)
        is_shown = following is not None and following.group() == closing and _is_in_a_sentence(before, raw)
        is_open = bool(choices) or is_shown
        blank = is_open or (bool(_PLACEHOLDER.match(body)) and not (body == "" and "\n" in raw))
        yield _Section(match.start(), name.lower(), slot, body, asked, blank and not asked)


def _is_closed(name: str, text: str) -> bool:
    """Tell whether a tag in square brackets is closed as those in angle brackets are."""
    return f"[{name}]" in text and f"[/{name}]" in text


def _is_in_a_sentence(before: str, body: str) -> bool:
    """Tell whether a tag shows, in the middle of a sentence, how the reply is to be written."""
    is_short = len(body) <= 60 and "\n" not in body
    return is_short and bool(re.search(r"[a-z],? $", before) or (before.strip() and _ASKING.search(before)))


def _is_mention(before: str, after: str) -> bool:
    """Tell whether a tag between these texts is spoken of rather than used."""
    rest_of_line = after.split("\n", 1)[0]
    if _MENTION.match(rest_of_line) and (before.strip() or len(after.strip()) <= 20):
        return True
    return bool(before.strip()) and not rest_of_line.strip(" .,;:`'\"") and bool(_ASKING.search(before))


def _bare_sections(text: str) -> list[_Section]:
    """Return each `[X]` that stands at the start of a line, with the text up to the next."""
    found = list(_BARE.finditer(text))
    sections = []
    for index, match in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        body = text[match.end() : end].strip()
        slot = Slot(name=match["name"], opening=match.group().strip(), closing="")
        blank = bool(body) and bool(_PLACEHOLDER.match(body))
        sections.append(_Section(match.start(), match["name"].lower(), slot, body, False, blank))
    return sections


def _asked_fences(sections: list[_Section]) -> tuple[Slot, ...]:
    """Return the fenced sections the reply must fill, in the prompt's order."""
    asked = _unique(section for section in sections if section.asked)
    given = {section.name for section in sections if _is_filled(section)}
    if asked:
        wanted = [slot for slot in asked if not (is_given_name(slot.name) and slot.name.lower() in given)]
        return tuple(wanted or asked)
    counts = Counter(section.name for section in sections if _is_filled(section))
    most = max(counts.values(), default=0)
    closed = [section for section in sections if section.blank or counts[section.name]]
    fewer = _unique(section for section in closed if counts[section.name] < most)
    if fewer or most == 0:
        return fewer or _unique(section for section in closed if section.blank)
    if any(section.blank for section in sections):
        return _unique(section for section in sections if section.blank and not is_given_name(section.name))
    return ()


def _asked_bare(sections: list[_Section]) -> tuple[Slot, ...]:
    """Return the `[X]` sections the reply must fill, each closed as the prompt shows it."""
    last = max((place for place, one in enumerate(sections) if one.name in _TERMINATORS), default=-1)
    tail = {one.name for one in sections[last + 1 :] if one.body and not one.blank}
    blanks = [one for one in sections if one.blank and one.name not in _TERMINATORS]
    if blanks:
        names = {one.name for one in blanks} - tail
    elif last >= 0:
        names = {one.name for one in sections[:last]} - tail - _TERMINATORS
    else:
        counts = Counter(one.name for one in sections if one.body)
        most = max(counts.values(), default=0)
        names = {name for name, count in counts.items() if count < most and not is_given_name(name)}
    opened = sections[-1] if sections and not sections[-1].body and not blanks else None
    if opened is not None and opened.name not in _TERMINATORS and not names - {opened.name}:
        return (Slot(opened.slot.name, "", ""),)
    shaped: dict[str, Slot] = {}
    for place, one in enumerate(sections):
        if one.name in names and one.name not in shaped:
            after = sections[place + 1] if place + 1 < len(sections) else None
            closing = after.slot.opening if after is not None and after.name in _TERMINATORS else ""
            is_open = opened is not None and opened.name == one.name
            shaped[one.name] = Slot(one.slot.name, "" if is_open else one.slot.opening, closing)
    return tuple(shaped.values())


def _asked_labels(text: str) -> tuple[Slot, ...]:
    """Return the `Label: ...` lines the reply must fill, or the label at the very end of the prompt."""
    slots: dict[str, Slot] = {}
    for match in _LABEL.finditer(text):
        mark = match["mark"]
        slots.setdefault(match["name"].lower(), Slot(match["name"], f"{mark}{match['name']}:{mark}", ""))
    if not slots and (opened := _OPEN_LABEL.search(text)):
        return (Slot(opened["name"], "", ""),)
    return tuple(slots.values())


def _unique(sections: Iterator[_Section]) -> tuple[Slot, ...]:
    """Return the slots of these sections, the first of each name."""
    slots: dict[str, Slot] = {}
    for section in sections:
        slots.setdefault(section.name, section.slot)
    return tuple(slots.values())
