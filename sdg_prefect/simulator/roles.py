"""What the names of tags, headings and JSON keys mean."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache


class Kind(StrEnum):
    """A kind of text the simulated model can write."""

    QUESTION = "question"
    ANSWER = "answer"
    SUMMARY = "summary"
    FACTS = "facts"
    PASSAGE = "passage"
    EXPLANATION = "explanation"
    THINKING = "thinking"
    CRITERIA = "criteria"
    REVISION = "revision"
    VERDICT = "verdict"
    SCORE = "score"
    LABEL = "label"
    TOPIC = "topic"
    KEYWORDS = "keywords"
    PAIRS = "pairs"
    QUESTIONS = "questions"
    PROGRAM_TASK = "program task"
    CODE = "code"
    TESTS = "tests"
    SUM = "sum"
    STEPS = "steps"
    SOLUTION = "solution"
    TRANSLATION = "translation"
    REQUEST = "request"
    FIRST_MESSAGE = "first message"
    REPLACEMENT = "replacement"
    JSON = "json"


class Role(StrEnum):
    """What a section of a prompt is to the reply."""

    MATERIAL = "material"
    QUESTION = "question"
    RESPONSE = "response"
    TASK = "task"


# The first row that matches a name decides.
_KINDS: tuple[tuple[str, Kind], ...] = (
    (r"translat\w+", Kind.TRANSLATION),
    (r"revis\w+|rewrit\w+|improved|evolved|refined|corrected|paraphrase\w*", Kind.REVISION),
    (r"(?:unit )?tests?|test cases|assertions", Kind.TESTS),
    (r"code|program|implementation", Kind.CODE),
    (r"scores?|rating|grade|points?_?awarded|stars", Kind.SCORE),
    (r"verdict|decision|judge?ments?|is [\w ]+|valid|pass(?:ed)?|winner|supported|faithful\w*"
     r"|relevant", Kind.VERDICT),
    (r"evaluation|explanations?|feedback|rationale|justification|reason(?:s|ing)?|critique"
     r"|comments?|assessment",
     Kind.EXPLANATION),
    (r"think(?:ing)?|thoughts?|reflection|analysis|scratchpad|chain of thought", Kind.THINKING),
    (r"facts?|points|bullets?|findings|takeaways|insights|claims?|statements?", Kind.FACTS),
    (r"rubrics?|plan|steps|criteria|outline|guidelines|suggestions|improvements", Kind.CRITERIA),
    (r"summary|summaries|abstract|tl dr|overview|description|gist", Kind.SUMMARY),
    (r"keywords?|key words|entities|tags|terms|keyphrases", Kind.KEYWORDS),
    (r"questions?|q|query|queries|instructions?|prompts?|problem|exercise|tasks?|requests?", Kind.QUESTION),
    (r"answers?|responses?|repl(?:y|ies)|output|solution|completion|result", Kind.ANSWER),
    (r"labels?|categor(?:y|ies)|class(?:es|ification)?|emotions?|sentiments?|type|tone"
     r"|difficulty", Kind.LABEL),
    (r"context|document|passage|text|paragraph|story|article|content|evidence|quote|snippet", Kind.PASSAGE),
    (r"titles?|topics?|subject|headline|name|domain|theme|concept", Kind.TOPIC),
)  # fmt: skip
_ROLES: tuple[tuple[str, Role], ...] = (
    (r"task(?: description)?", Role.TASK),
    (r"questions?|query|instruction|prompt|problem|request", Role.QUESTION),
    (r"answers?|responses?|reply|output|completion|information|claim|statement|solution", Role.RESPONSE),
    (r"documents?|context|passage|article|text|chapter|snippet|excerpt|paragraph|content"
     r"|source|transcript|review"
     r"|abstract|story|code|data|knowledge|tweet|sentence|comment|post|input|message|email"
     r"|summary|facts|material|tools|subject|topic",
     Role.MATERIAL),
)  # fmt: skip
HEADING_WORDS = (
    r"task(?: description)?|questions?|query|instruction|prompt|problem|request|answer"
    r"|response|reply|documents?|context|passage"
    r"|article|text|chapter|snippet|excerpt|paragraph|transcript|review|abstract|story|tweet"
    r"|sentence|input|email|summary|material|tools|subject|topic"
)
"""Words that head a section of a prompt, as a pattern."""

_KIND_PATTERNS = tuple((re.compile(rf"\b(?:{pattern})\b"), kind) for pattern, kind in _KINDS)
_ROLE_PATTERNS = tuple((re.compile(rf"\b(?:{pattern})\b"), role) for pattern, role in _ROLES)


def _plain(name: str) -> str:
    """Return a name in lower case with spaces between its words."""
    return re.sub(r"[_\-\s]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


@lru_cache(maxsize=2048)
def kind_of(name: str) -> Kind:
    """Return what to write under this name; an answer if the name says nothing."""
    plain = _plain(name)
    return next((kind for pattern, kind in _KIND_PATTERNS if pattern.search(plain)), Kind.ANSWER)


@lru_cache(maxsize=2048)
def role_of(name: str) -> Role | None:
    """Return what a section of this name is to the reply, or None."""
    plain = _plain(name)
    return next((role for pattern, role in _ROLE_PATTERNS if pattern.search(plain)), None)


def is_given_name(name: str) -> bool:
    """Tell whether prompts give, rather than ask for, a section of this name."""
    return role_of(name) is Role.MATERIAL and kind_of(name) is Kind.PASSAGE
