"""Texts that match a simple regular expression."""

from __future__ import annotations

import re
from collections.abc import Callable

from sdg_prefect.simulator.chance import draw, pick


class _Unsupported(ValueError):
    """The pattern uses something beyond literals, classes, groups, choices and repeats."""


_CLASSES = {"d": "0123456789", "w": "abcdefghijklmnopqrstuvwxyz", "s": " "}
_REPEAT = re.compile(r"\{(\d+)(,?)(\d*)\}|[*+?]")


class _PatternReader:
    """Walks a regular expression from left to right, writing a text that matches."""

    def __init__(self, pattern: str, key: str) -> None:
        self._pattern = pattern
        self._place = 0
        self._key = key

    def read(self) -> str:
        """Return a text for the whole pattern."""
        text = self._choice()()
        if self._place < len(self._pattern):
            raise _Unsupported(self._pattern)
        return text

    def _peek(self) -> str:
        return self._pattern[self._place : self._place + 1]

    def _take(self) -> str:
        taken = self._peek()
        if not taken:
            raise _Unsupported(self._pattern)
        self._place += 1
        return taken

    def _choice(self) -> Callable[[], str]:
        place = self._place
        branches = [self._sequence()]
        while self._peek() == "|":
            self._take()
            branches.append(self._sequence())
        chosen = pick(branches, self._key, place)
        return lambda: "".join(part() for part in chosen)

    def _sequence(self) -> list[Callable[[], str]]:
        parts: list[Callable[[], str]] = []
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            if repeat := _REPEAT.match(self._pattern, self._place):
                self._place = repeat.end()
                if self._peek() == "?":
                    self._take()
                parts.extend([part] * self._times(repeat))
            else:
                parts.append(part)
        return parts

    def _times(self, repeat: re.Match[str]) -> int:
        if repeat.group() == "?":
            return int(draw(self._key, self._place, "maybe") * 2)
        if repeat.group() in "*+":
            return 1 + int(draw(self._key, self._place, "times") * 4)
        least = int(repeat[1])
        most = int(repeat[3]) if repeat[3] else least + 3 * bool(repeat[2])
        return least + int(draw(self._key, self._place, "times") * (most - least + 1))

    def _atom(self) -> Callable[[], str]:
        place, sign = self._place, self._take()
        if sign in "^$":
            return str
        if sign == "(":
            if self._peek() == "?":
                if self._pattern[self._place : self._place + 2] != "?:":
                    raise _Unsupported(self._pattern)
                self._place += 2
            group = self._choice()
            if self._take() != ")":
                raise _Unsupported(self._pattern)
            return group
        if sign == "[":
            return self._one_of(self._char_class(), place)
        if sign == ".":
            return self._one_of(_CLASSES["w"], place)
        if sign == "\\":
            escaped = self._take()
            return self._one_of(_CLASSES.get(escaped) or self._literal(escaped), place)
        if sign in "*+?{":
            raise _Unsupported(self._pattern)
        return lambda: sign

    def _literal(self, escaped: str) -> str:
        if escaped.isalnum():
            if escaped not in "nt":
                raise _Unsupported(self._pattern)
            return {"n": "\n", "t": "\t"}[escaped]
        return escaped

    def _one_of(self, choices: str, place: int) -> Callable[[], str]:
        count = 0

        def next_character() -> str:
            nonlocal count
            count += 1
            return pick(choices, self._key, place, count)

        return next_character

    def _char_class(self) -> str:
        found: list[str] = []
        if self._peek() == "^":
            raise _Unsupported(self._pattern)
        while (sign := self._take()) != "]":
            if sign == "\\":
                escaped = self._take()
                found.extend(_CLASSES.get(escaped) or self._literal(escaped))
            elif self._peek() == "-" and self._pattern[self._place + 1 : self._place + 2] not in ("", "]"):
                self._take()
                found.extend(chr(code) for code in range(ord(sign), ord(self._take()) + 1))
            else:
                found.append(sign)
        return "".join(found)


def text_for(pattern: str, key: str) -> str | None:
    """Return a text that matches a simple pattern, or None for one that is not simple."""
    try:
        text = _PatternReader(pattern, key).read()
        return text if re.search(pattern, text) else None
    except (_Unsupported, re.error, IndexError):
        return None
