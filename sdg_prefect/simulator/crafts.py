"""Replies that take a skill: programs with tests, sums, translations, requests to tools, and a user's first message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.simulator.chance import pick
from sdg_prefect.simulator.programs import PROGRAMS, Program, program_for, programs_about
from sdg_prefect.simulator.roles import Kind
from sdg_prefect.simulator.sums import Solved, poses_problem, solve, write_problem
from sdg_prefect.simulator.tools import calls_wanted, request_for
from sdg_prefect.simulator.translating import language_of, translate
from sdg_prefect.simulator.wording import lower_first, names_in, sentences_of

if TYPE_CHECKING:
    from sdg_prefect.simulator.reading import Reading

_PROGRAMS = re.compile(r"\bpython\b|\bunit tests?\b|\bprogramming (?:task|problem|exercise)s?\b", re.IGNORECASE)
_SUMS = re.compile(r"\bword problems?\b|\barithmetic\b|\bcan be computed\b|\bmath\w* (?:problem|question)s?\b", re.IGNORECASE)
_REPLACES = re.compile(r"\bput (?:a|the) description in (?:the )?place of (?:a|the) name\b", re.IGNORECASE)
_NAME = re.compile(r"^Name: (.+)$", re.MULTILINE)
_SOLVING = frozenset({Kind.THINKING, Kind.CRITERIA, Kind.EXPLANATION})
_JUDGING = frozenset({Kind.VERDICT, Kind.SCORE})
_BEGINNINGS = (
    "How do I {do}?",
    "What should I know before I {do}?",
    "Can you give me a plan to {do} in one weekend?",
    "Write a short note to my neighbours, since I want to {do}.",
)
_DOINGS = (
    "repair a bicycle tyre",
    "move a piano to the third floor",
    "grow tomatoes on a balcony",
    "learn the names of fifty birds",
    "bake bread without yeast",
    "sort twenty years of photographs",
    "swim a kilometre without a break",
    "paint an old wooden boat",
)


def crafted(kinds: list[Kind], reading: Reading) -> list[Kind]:
    """Return what to write in each place of a reply, where the prompt asks for something that takes a skill."""
    is_judged = any(kind in _JUDGING for kind in kinds)
    return [_crafted(kind, reading, is_judged=is_judged) for kind in kinds]


def _crafted(kind: Kind, reading: Reading, *, is_judged: bool) -> Kind:
    if kind is Kind.QUESTION:
        if reading.tools:
            return Kind.REQUEST
        if _PROGRAMS.search(reading.instructions):
            return Kind.PROGRAM_TASK
        return Kind.SUM if _SUMS.search(reading.instructions) else kind
    if kind is Kind.REVISION and _REPLACES.search(reading.instructions) and _NAME.search(reading.prompt):
        return Kind.REPLACEMENT
    if kind is Kind.ANSWER and _PROGRAMS.search(reading.instructions):
        return Kind.CODE
    if poses_problem(reading.question) and not is_judged:
        return Kind.STEPS if kind in _SOLVING else Kind.SOLUTION if kind is Kind.ANSWER else kind
    return kind


@dataclass(frozen=True, slots=True)
class Craft:
    """Writes one reply that takes a skill; equal fields write equal words."""

    reading: Reading
    key: str
    approves: bool
    """False for a reply with a mistake."""
    turn: int = 0
    """Which of several in the same reply."""

    def write(self, kind: Kind) -> str:
        """Write a text of one of the kinds in ``CRAFTS``."""
        return CRAFTS[kind](self)

    def program_task(self) -> str:
        """Write what a program has to do."""
        return programs_about(self.reading.material, self.key)[self.turn % len(PROGRAMS)].task

    def code(self) -> str:
        """Write the program that the row speaks of."""
        return f"```python\n{self._program.written(carefully=self.approves)}\n```"

    def tests(self) -> str:
        """Write the tests of that program."""
        return f"```python\n{self._program.tested()}\n```"

    def sum(self) -> str:
        """Write a word problem."""
        return write_problem(f"{self.key} {self.turn}")

    def steps(self) -> str:
        """Write the steps that solve the row's problem."""
        return self._solved.steps

    def solution(self) -> str:
        """Write the number alone where the steps have a place of their own, else both."""
        solved = self._solved
        return solved.answer if len(self.reading.slots) > 1 else f"{solved.steps} The answer is {solved.answer}."

    def translation(self) -> str:
        """Write the row's text in another language."""
        reading = self.reading
        text = reading.material or reading.question or reading.response or reading.task
        return translate(text, language_of(reading.instructions), carefully=self.approves)

    def request(self) -> str:
        """Write what a user asks of the tools; where none is to be of use, something else."""
        wanted = calls_wanted(self.reading.instructions)
        return request_for(self.reading.tools, wanted, f"{self.key} {self.turn}") if wanted else self.first_message()

    def first_message(self) -> str:
        """Write with what a user may begin."""
        beginning, doing = (pick(parts, self.key, self.turn, name) for parts, name in ((_BEGINNINGS, "how"), (_DOINGS, "what")))
        said = beginning.format(do=doing)
        return f"{said} It has to do with {pick(self.reading.key_words, self.key, 'about')}." if self.reading.material else said

    def replaced(self) -> str:
        """Write the row's question with a description where a name stands."""
        reading = self.reading
        name = _NAME.findall(reading.prompt)[-1].strip()
        first = sentences_of(reading.material, 1) or (reading.material,)
        described = first[0].rstrip(".")
        return reading.question.replace(name, lower_first(described, names_in(reading.material)))

    @property
    def _program(self) -> Program:
        reading = self.reading
        return program_for(reading.question or reading.task or reading.material or reading.instructions)

    @property
    def _solved(self) -> Solved:
        return solve(self.reading.question, self.key, carefully=self.approves)


CRAFTS: Mapping[Kind, Callable[[Craft], str]] = {
    Kind.PROGRAM_TASK: Craft.program_task,
    Kind.CODE: Craft.code,
    Kind.TESTS: Craft.tests,
    Kind.SUM: Craft.sum,
    Kind.STEPS: Craft.steps,
    Kind.SOLUTION: Craft.solution,
    Kind.TRANSLATION: Craft.translation,
    Kind.REQUEST: Craft.request,
    Kind.FIRST_MESSAGE: Craft.first_message,
    Kind.REPLACEMENT: Craft.replaced,
}
"""How each kind is written."""
