"""What the errors of the YAML parser mean, in words for someone who does not know the parser."""

from __future__ import annotations

import yaml

from sdg_prefect.errors import Problem

_HINTS = {
    "<block end>": "Check the indentation: the keys of one mapping start in the same column.",
    "'\\t'": "YAML is indented with spaces, not with tabs.",
    "mapping values are not allowed here": "Check the indentation, and put a text with ': ' in it in quotes.",
    "another document": "One file holds one flow; remove the line '---'.",
    "could not find expected ':'": "A key needs a ':' and a space behind it.",
    "unknown escape character": "Between double quotes a backslash is written twice; between single quotes once.",
    "cannot start any token": "Put the text in quotes.",
    "undefined alias": "A text that starts with '*' is put in quotes.",
    "expected alphabetic or numeric character": "A text that starts with '*' or '&' is put in quotes.",
    "a key has to be": "A text that starts with '{' is put in quotes.",
    "'<stream end>'": "A bracket or a quotation mark is not closed.",
    "unexpected end of stream": "A bracket or a quotation mark is not closed.",
    "expected ',' or": "A bracket is not closed, or a comma is missing.",
    "constructor for the tag": "Remove the tag, or put the text in quotes.",
}
"""A part of what the parser says, and what to do about it; the first that fits counts."""
_WORDS = {
    "<block end>": "the end of the mapping or list",
    "'<block mapping start>'": "a mapping inside it",
    "'<block sequence start>'": "a list inside it",
    "'<stream end>'": "the end of the file",
    "'<scalar>'": "a text",
    "the node content": "a value",
}
"""The parser's names of things, in those of people."""


def syntax_problem(error: yaml.YAMLError | RecursionError, text: str, file: str) -> Problem:
    """Return the problem for what the parser could not take."""
    if isinstance(error, RecursionError):
        return Problem("not valid YAML: it is nested too deep.", file=file)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        found = chr(error.character) if isinstance(error.character, int) else str(error.character)
        return Problem(f"not text: it holds the control character {found!r}.", "Remove it.", file, line)
    mark = getattr(error, "problem_mark", None)
    reason = str(getattr(error, "problem", None) or error)
    hint = next((hint for part, hint in _HINTS.items() if part in reason), "")
    reason = reason.removeprefix("but ")
    for word, meaning in _WORDS.items():
        reason = reason.replace(word, meaning)
    return Problem(f"not valid YAML: {reason}.", hint, file, mark.line + 1 if mark else 0)
