"""Prompt templates: Jinja in a sandbox, with the variables known before anything is rendered."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, meta, nodes
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.effort import limited
from sdg_prefect.blocks.template_sandbox import Sandbox
from sdg_prefect.errors import did_you_mean

_ENVIRONMENT = Sandbox()
_SPACED = re.compile(r"\{\{\s*\w+( +\w+)+\s*\}\}")

UNFIT = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError, MemoryError)
"""What Python raises where the values of a row do not fit a template."""


@dataclass(frozen=True, slots=True)
class Variables:
    """The names that a template takes from the row."""

    needed: frozenset[str]
    optional: frozenset[str]
    """Those that the template itself asks about, with ``is defined``, ``default`` or a bare ``if``."""


@dataclass(frozen=True, slots=True)
class Constants:
    """What a template says whatever the row."""

    start: str
    """Its text up to the first thing that depends on the row."""
    line: int
    """Line of that thing, from 1; 0 where nothing depends on the row."""
    later: int
    """Characters of text behind it on which no condition or loop decides."""


class TemplateProblem(ValueError):
    """A template is wrong; ``line`` counts from its first line, 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def lex(text: str) -> Iterator[tuple[int, str, str]]:
    """Give the tokens of a valid template, white space included: line, kind, text."""
    return _ENVIRONMENT.lex(text)


@lru_cache(maxsize=1024)
def compile_template(text: str) -> Template:
    """Compile a template.

    Raises:
        TemplateProblem: Its syntax is wrong, or it reaches for what the sandbox keeps from it.
    """
    _read(text)
    with bounded():
        return _ENVIRONMENT.from_string(text)


def _valid_template(text: str) -> str:
    try:
        compile_template(text)
    except TemplateProblem as problem:
        raise PydanticCustomError("template", "{reason}.", {"reason": str(problem).rstrip(".")}) from problem
    return text


TemplateText = Annotated[str, AfterValidator(_valid_template)]
"""A field that holds a template."""


def render(text: str, row: Mapping[str, Any]) -> str:
    """Fill a template with the values of a row. A null renders as ``None``.

    Raises:
        TemplateError: The row's values do not fit the template, such as an attribute of a missing name.
    """
    try:
        template = compile_template(text)
        with limited():
            return template.render(row)
    except UNFIT as error:
        raise TemplateError(f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=1024)
def find_variables(text: str) -> Variables:
    """Find the names that a template takes from the row.

    Raises:
        TemplateProblem: See ``compile_template``.
    """
    # What can be read may still be too deep to be compiled.
    compile_template(text)
    return variables_of(_read(text))


def variables_in(texts: Iterable[str]) -> Variables:
    """Return the names that templates take from the row together: what one of them needs is needed."""
    found = [find_variables(text) for text in texts]
    needed = frozenset[str]().union(*(one.needed for one in found))
    return Variables(needed, frozenset[str]().union(*(one.optional for one in found)) - needed)


def variables_of(tree: nodes.Template) -> Variables:
    """Return the names that a parsed template takes from the row."""
    names = meta.find_undeclared_variables(tree) - set(_ENVIRONMENT.globals)
    asked = {name for name in names if _is_asked_about(tree, name)}
    return Variables(frozenset(names - asked), frozenset(asked))


@lru_cache(maxsize=1024)
def find_constants(text: str, known: tuple[tuple[str, str], ...] = ()) -> Constants:
    """Find what a template says whatever the row.

    Args:
        text: The template.
        known: Names whose values are the same for every row, with these.

    Raises:
        TemplateProblem: See ``compile_template``.
    """
    values, start, later, line = dict(known), [], 0, 0
    for node in _read(text).body:
        for piece in node.nodes if isinstance(node, nodes.Output) else [node]:
            said = _said(piece, values)
            if line:
                later += len(said or "")
            elif said is None:
                line = piece.lineno
            else:
                start.append(said)
    return Constants("".join(start), line, later)


def _said(piece: nodes.Node, values: Mapping[str, str]) -> str | None:
    """Return the text that a part of a template always gives; None where it depends on the row."""
    match piece:
        case nodes.TemplateData():
            return piece.data
        case nodes.Const():
            return str(piece.value)
        case nodes.Name():
            return values.get(piece.name)
    return None


def _read(text: str) -> nodes.Template:
    try:
        with bounded():
            tree = _ENVIRONMENT.parse(text)
            check_tree(tree)
    except TemplateSyntaxError as error:
        said = error.message
        if _SPACED.search(text):
            said = f"{said}. A name between braces has no spaces: give the column another one with 'RenameColumns' first"
        raise TemplateProblem(f"the template is wrong: {said}", error.lineno) from error
    return tree


@contextmanager
def bounded() -> Iterator[None]:
    """Turn what Python says of expressions that are nested too deep, or of numbers too long, into a problem of the template.

    Raises:
        TemplateProblem: It is so.
    """
    try:
        yield
    except (RecursionError, SyntaxError, MemoryError) as error:
        raise TemplateProblem("the template is wrong: it is nested too deep", 1) from error
    except OverflowError as error:
        raise TemplateProblem("the template is wrong: it has a number in it that is too large", 1) from error
    except ValueError as error:
        if isinstance(error, TemplateProblem):
            raise
        raise TemplateProblem("the template is wrong: it has a number in it that is too long", 1) from error


def check_tree(tree: nodes.Template) -> None:
    """See that a parsed template keeps to the sandbox and uses only what is there.

    Raises:
        TemplateProblem: It does not.
    """
    for line, attribute in _attributes(tree):
        if isinstance(attribute, str) and attribute.startswith("__"):
            raise TemplateProblem(f"the template reaches for '{attribute}', which is not a part of a row", line)
    for constant in tree.find_all(nodes.Const):
        if isinstance(constant.value, float) and math.isinf(constant.value):
            raise TemplateProblem("the template has a number in it that is too large", constant.lineno)
    for include in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)):
        raise TemplateProblem("a prompt cannot include other templates", include.lineno)
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name not in _ENVIRONMENT.filters:
            hint = did_you_mean(filtered.name, [name for name in _ENVIRONMENT.filters if name.isidentifier()])
            raise TemplateProblem(f"there is no filter '{filtered.name}'. {hint}".rstrip(" ."), filtered.lineno)
    for test in tree.find_all(nodes.Test):
        if test.name not in _ENVIRONMENT.tests:
            raise TemplateProblem(f"there is no test '{test.name}'", test.lineno)


def _attributes(tree: nodes.Template) -> Iterator[tuple[int, Any]]:
    """Give the line and the name of every part that the template takes of a value."""
    yield from ((node.lineno, node.attr) for node in tree.find_all(nodes.Getattr))
    yield from ((node.lineno, getattr(node.arg, "value", None)) for node in tree.find_all(nodes.Getitem))


def _is_asked_about(tree: nodes.Template, name: str) -> bool:
    """True if the template makes sure of a name before it uses it."""
    for test in tree.find_all(nodes.Test):
        if test.name in ("defined", "undefined") and _is_name(test.node, name):
            return True
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name in ("default", "d") and _is_name(filtered.node, name):
            return True
    conditions: list[nodes.If | nodes.CondExpr] = [*tree.find_all(nodes.If), *tree.find_all(nodes.CondExpr)]
    return any(_is_name(condition.test, name) for condition in conditions)


def _is_name(node: nodes.Node | None, name: str) -> bool:
    return isinstance(node, nodes.Name) and node.name == name
