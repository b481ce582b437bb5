"""Values of a flow's parameters put into a prompt: each ``parameters.name`` in it becomes the value itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sdg_prefect.blocks.templates import TemplateProblem, lex
from sdg_prefect.errors import did_you_mean

_ROOT = "parameters"

Token = tuple[int, str, str]


def fill_template(text: str, values: Mapping[str, Any]) -> str:
    """Write the values of parameters into a template, as literals in the place of their names.

    So a prompt that uses a parameter is another prompt for another value, with other keys; one that uses none stays as it is.

    Args:
        text: The template, which is valid.
        values: The values by name.

    Raises:
        TemplateProblem: It names a parameter that is not there.
    """
    if _ROOT not in text:
        return text
    tokens, made, place = list(lex(text)), list[str](), 0
    while place < len(tokens):
        used = _use(tokens, place)
        if used is None:
            made.append(tokens[place][2])
            place += 1
            continue
        name, place = used
        line = tokens[place - 1][0]
        if name not in values:
            hint = did_you_mean(name, values)
            raise TemplateProblem(f"there is no parameter '{name}'. {hint}".rstrip(" ."), line)
        made.append(_literal(values[name]))
    return "".join(made)


def _use(tokens: Sequence[Token], place: int) -> tuple[str, int] | None:
    """Return the parameter that is named at a place, and the place behind it."""
    if tokens[place][1:] != ("name", _ROOT):
        return None
    meaning = [(at, token) for at, token in enumerate(tokens) if token[1] != "whitespace"]
    here = next(number for number, (at, _) in enumerate(meaning) if at == place)
    if here and meaning[here - 1][1][2] in (".", "|"):
        return None
    after = [*meaning[here + 1 : here + 4], *[(len(tokens), (0, "", ""))] * 3]
    (_, dot), (at_name, name), (at_end, end) = after[:3]
    if dot[2] == "." and name[1] == "name":
        return name[2], at_name + 1
    if dot[2] == "[" and name[1] == "string" and end[2] == "]":
        return name[2][1:-1], at_end + 1
    raise TemplateProblem("a parameter is written parameters.NAME", tokens[place][0])


def _literal(value: Any) -> str:
    """Write a value as Jinja reads it."""
    if value is None:
        return "none"
    text = json.dumps(value, ensure_ascii=False)
    return f"({text})" if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0 else text
