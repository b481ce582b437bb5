"""What the sentences of a prompt ask for: a kind of text, options, a scale, a number, a JSON shape."""

from __future__ import annotations

import json
import re
from typing import Any

from sdg_prefect.simulator.roles import Kind

# The first row that matches the instructions, in lower case, decides.
_MAKE = r"\b(?:generate|write|create|develop|ask|propose|come up with|produce)\b"
_WANTS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        (r"\btranslate\b", Kind.TRANSLATION),
        (r"\b(?:rewrite|revise|paraphrase|improve the|rephrase|evolve)\b", Kind.REVISION),
        (r"\bwrite\b[^.\n]{0,20}\b(?:in python|python (?:function|program|script|code))\b", Kind.CODE),
        (r"\bquestions?[- ](?:and|&)[- ]answers?\b|\bq\s?&\s?a\b|\bqa pairs?\b", Kind.PAIRS),
        (r"\bquestion.{1,20}pairs?\b", Kind.PAIRS),
        (r"\batomic facts\b", Kind.FACTS),
        (r"\bsummar(?:y|i[sz]\w*|ies)\b|\btl;?dr\b|\boverview\b", Kind.SUMMARY),
        (r"\b(?:key|important|main) facts\b|\b(?:key|bullet) points\b|\blist of facts\b", Kind.FACTS),
        (
            r"\b(?:list|extract) (?:the|all|key)\b[^.\n]{0,40}\b(?:facts|points|claims|statements)\b",
            Kind.FACTS,
        ),
        (r"\bkey ?words\b|\bentities\b", Kind.KEYWORDS),
        (rf"{_MAKE}[^.\n]{{0,80}}\bquestions\b", Kind.QUESTIONS),
        (rf"{_MAKE}[^.\n]{{0,60}}\b(?:question|query)\b", Kind.QUESTION),
        (r"\b(?:title|headline|topic) (?:of|for)\b|\bextract[^.\n]{0,30}\b(?:topic|theme)\b", Kind.TOPIC),
        (r"\b(?:rubric|outline|plan)\b", Kind.CRITERIA),
    )
)
_RATES = re.compile(r"\b(?:rate|score|grade|rating|evaluate|assess)\b")

_NUMBER = r"(\d{1,3})"
_TO = r" ?(?:to|-|–|or|and|/) ?"
_SCALES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:scale of|(?:score|rating|grade|number)s? of|from|between) {_NUMBER}{_TO}{_NUMBER}\b",
        rf"\b{_NUMBER}{_TO}{_NUMBER}\)? (?:scale|scoring|rating)",
        r"\b(?:either|binary|score|rating|return|respond with|answer)\b"
        rf"[^.\n\d]{{0,30}}{_NUMBER} or {_NUMBER}\b",
        rf"\({_NUMBER}{_TO}{_NUMBER}\)",
    )
)
_TOP_FROM_ONE = re.compile(rf"\b{_NUMBER}[- ]point scale|\bout of {_NUMBER}\b|/ ?(5|10|100)\b")
_TOP_FROM_ZERO = re.compile(rf"\bmaximum (?:possible |total )?(?:score|rating|points?)? ?(?:of|is) {_NUMBER}")
_DIGIT = re.compile(r"\d")

_QUOTE = r"[\"'`*“”\[\]]{0,3}"
_YES = "yes|true|pass|valid|correct|supported|relevant|accept"
_NO = "no|false|fail|invalid|incorrect|unsupported|not supported|irrelevant|reject"
_PAIR = re.compile(rf"\b({_YES}){_QUOTE}\s*(?:or|/|,|\||and)\s*(?:with )?{_QUOTE}({_NO})\b", re.IGNORECASE)
_SHOUTED = (re.compile(r"\bYES\b"), re.compile(r"\bNO\b"))
_REPLY_WITH = "(?i:respond|answer|reply|output)(?: with)? "
_OPTION_IF = rf"{_QUOTE}([A-Z]\w*(?: \w+){{0,2}}?){_QUOTE} if\b"
_IF_OPTIONS = re.compile(rf"\b{_REPLY_WITH}{_OPTION_IF}.{{0,120}}?[,;.]\s*(?:or )?(?:{_REPLY_WITH})?{_OPTION_IF}")
_ITEM = r"[\"'`*“]{0,2}[A-Za-z][\w-]*(?:[ /][\w-]+){0,2}[\"'`*”]{0,2}"
_CHOICE = r"(?:one of|classif\w*|categor\w*|labels?|emotions?|sentiments?|options|classes|choices|choose|select)"
_OFFERS = re.compile(rf"\b(?:{_CHOICE}\b|(?:respond|answer|reply|output)\b[^\n]* if\b)", re.IGNORECASE)
_LISTED_OPTIONS = re.compile(rf"\b{_CHOICE}\b[^\n]{{0,80}}?\W((?:{_ITEM}, ?){{1,40}}(?:(?:and|or) )?{_ITEM})", re.IGNORECASE)
_TWO_OPTIONS = re.compile(rf"\b{_CHOICE}\b[^\n.]{{0,60}}?\b(?:as|either|into|of)\W+({_ITEM}) or ({_ITEM})", re.IGNORECASE)
_BULLET_OPTIONS = re.compile(
    rf"\b{_CHOICE}\b[^\n]*:[ \t]*\n\s*((?:[ \t]*(?:[-*•]|\d{{1,2}}[.)])[ \t]*[^\n]+(?:\n|$)){{2,60}})",
    re.IGNORECASE,
)
_BULLET = re.compile(
    r"^[ \t]*(?:[-*•]|\d{1,2}[.)])[ \t]*[\"'`*“]{0,3}([^\n:(—\"'`*”]{1,40}?)[\"'`*”]{0,3}[ \t]*"
    r"(?:[:(—].*| - .*)?$",
    re.MULTILINE,
)
_LEAD_IN = re.compile(r"^.*\b(?:as|of|into|from|is|are|either|among|or|and)\s+", re.IGNORECASE)

_COUNT_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTS = {"single": 1, **{word: number for number, word in enumerate(_COUNT_WORDS, 1)}}
_COUNT = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(_COUNTS)})\s+(?:[\w,&-]+\s+){{0,4}}?"
    r"(?:questions?|pairs?|facts|instructions|queries|q&as?|items|statements|tasks?|problems?|requests?|prompts?|messages?|texts?)\b"
)
_REPEATED = re.compile(
    rf"\b(?:(\d{{1,2}}|{'|'.join(_COUNTS)})\b[^.\n]{{0,80}}, )?each (?:[\w-]+ )?(?:between|in) (?:tags of its own|this form)"
)
_SINGULAR = re.compile(r"\b(?:write|generate|create|ask|produce|provide|formulate) (?:a|an|the) (?:[\w-]+ ){0,3}question\b")
_TOLD_SCHEMA = re.compile(r"\bJSON Schema:\s*(?=\{)", re.IGNORECASE)
_KEYED = re.compile(r'"([\w -]{1,40})"\s*:\s*("|\[|\{|-?\d|true|false|<?\s*(?:int|float|number|bool))?', re.IGNORECASE)
_NAMED_KEYS = re.compile(
    r"\b(?:keys?|fields?|properties|attributes)\b[^.\n]{0,40}?((?:[\"'`]\w+[\"'`][,\s]*(?:and\s+)?)+)", re.IGNORECASE
)


def wanted_kind(instructions: str) -> Kind:
    """Return the kind of text that the instructions speak of; an answer if of none."""
    lowered = instructions.lower()
    return next((kind for pattern, kind in _WANTS if pattern.search(lowered)), Kind.ANSWER)


def speaks_of_json(instructions: str) -> bool:
    """Tell whether the instructions speak of JSON."""
    return "json" in instructions.lower()


def speaks_of_rating(instructions: str) -> bool:
    """Tell whether the instructions speak of a rating."""
    return _RATES.search(instructions.lower()) is not None


def scale_of(instructions: str) -> tuple[int, int] | None:
    """Return the lowest and highest score the prompt speaks of, or None."""
    lowered = instructions.lower()
    if _DIGIT.search(lowered):
        for pattern in _SCALES:
            if found := pattern.search(lowered):
                low, high = sorted((int(found[1]), int(found[2])))
                if low < high:
                    return low, high
        if found := _TOP_FROM_ZERO.search(lowered):
            return 0, int(found[1])
        if found := _TOP_FROM_ONE.search(lowered):
            return 1, int(next(group for group in found.groups() if group))
    return (0, 1) if "binary" in lowered else None


def verdicts_of(instructions: str) -> tuple[str, str] | None:
    """Return the words for yes and no, as the prompt spells them, or None."""
    if found := _PAIR.search(instructions):
        return found[1], found[2]
    yes, no = (pattern.search(instructions) for pattern in _SHOUTED)
    return ("YES", "NO") if yes and no else None


def options_of(instructions: str) -> tuple[str, ...]:
    """Return the labels a prompt lists to choose from."""
    if not _OFFERS.search(instructions):
        return ()
    if found := _IF_OPTIONS.search(instructions):
        return found[1], found[2]
    for found in _BULLET_OPTIONS.finditer(instructions):
        items = [item.strip() for item in _BULLET.findall(found[1])]
        short = tuple(dict.fromkeys(item for item in items if 0 < len(item.split()) <= 4))
        if len(short) > 1:
            return short
    if found := _LISTED_OPTIONS.search(instructions):
        items = [_LEAD_IN.sub("", item.strip()).strip("\"'`*“” ") for item in found[1].split(",")]
        return tuple(dict.fromkeys(item for item in items if item))
    if found := _TWO_OPTIONS.search(instructions):
        return found[1].strip("\"'`*“” "), found[2].strip("\"'`*“” ")
    return ()


def wants_several(instructions: str) -> bool:
    """Tell whether the form that the prompt shows is to be filled several times."""
    return _REPEATED.search(instructions.lower()) is not None


def count_of(instructions: str) -> int | None:
    """Return how many items the prompt wants, at most 20, or None."""
    lowered = instructions.lower()
    found = [number for number in _REPEATED.findall(lowered) if number] or _COUNT.findall(lowered)
    if found:
        return min(20, _COUNTS.get(found[-1]) or int(found[-1])) or None
    return 1 if _SINGULAR.search(lowered) else None


def json_shape_of(prompt: str, instructions: str) -> dict[str, Any]:
    """Return a JSON schema for the object that the prompt shows or names, or the one that it tells."""
    decoder = json.JSONDecoder()
    if told := _TOLD_SCHEMA.search(prompt):
        try:
            schema, _ = decoder.raw_decode(prompt, told.end())
        except ValueError:
            schema = None
        if isinstance(schema, dict):
            return schema
    for start in [match.start() for match in re.finditer(r"\{\s*\"", prompt)][-8:][::-1]:
        try:
            value, _ = decoder.raw_decode(prompt, start)
        except ValueError:
            end = prompt.find("}", start)
            keyed = _KEYED.findall(prompt, start, end if end > 0 else len(prompt))
            if keyed:
                return _object({key: _schema_of_sign(sign) for key, sign in keyed})
            continue
        return _schema_of(value)
    if found := _NAMED_KEYS.search(instructions):
        return _object({key: {"type": "string"} for key in re.findall(r"\w+(?=[\"'`])", found[1])})
    return {}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _schema_of(value: Any) -> dict[str, Any]:
    """Return a schema for values that look like this one."""
    match value:
        case dict():
            return _object({key: _schema_of(item) for key, item in value.items()})
        case list():
            return {"type": "array", "items": _schema_of(value[0]) if value else {"type": "string"}}
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case _:
            return {"type": "string"}


def _schema_of_sign(sign: str) -> dict[str, Any]:
    """Return a schema for a value that starts with this sign."""
    sign = sign.lower().strip("< ")
    if sign == "[":
        return {"type": "array", "items": {"type": "string"}}
    if sign in ("true", "false", "bool"):
        return {"type": "boolean"}
    if sign in ("float", "number"):
        return {"type": "number"}
    return {"type": "integer"} if sign == "int" or sign.lstrip("-").isdigit() else {"type": "string"}
