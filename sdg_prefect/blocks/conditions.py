"""Conditions on a row: a Jinja expression in the sandbox of the prompts, in which a comparison with nothing does not hold."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from jinja2 import TemplateError, TemplateSyntaxError, Undefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer
from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.effort import limited
from sdg_prefect.blocks.template_sandbox import Sandbox
from sdg_prefect.blocks.templates import UNFIT, TemplateProblem, Variables, bounded, check_tree, variables_of
from sdg_prefect.rows import PART_ROWS, values_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_SAFE = {"gt": "gt", "gteq": "ge", "lt": "lt", "lteq": "le", "in": "in", "notin": "notin"}
"""Jinja's comparisons that fail on a null, and the tests that take their place."""
_HINTS = {
    "'='": " Two values are compared with '=='.",
    "'&'": " Write 'and'.",
    "'|'": " Write 'or'; a single '|' puts a filter behind a value.",
    "'!'": " Write 'not', or '!='.",
}


def as_condition(value: Any) -> str:
    """Return a condition as one text, however it is written: an expression, one in double braces, or true or false.

    Raises:
        ValueError: It is no condition.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str) or not value.strip():
        raise ValueError("has to be an expression over the columns of a row, such as \"score|int >= 4 and lang == 'en'\"")
    text = value.strip()
    if text.startswith("{{") and text.endswith("}}"):
        text = text[2:-2].strip()
    try:
        _compiled(text)
    except TemplateProblem as problem:
        raise ValueError(str(problem)) from problem
    return text


def _checked(value: Any) -> str:
    try:
        return as_condition(value)
    except ValueError as error:
        raise PydanticCustomError("condition", "{reason}", {"reason": str(error)}) from error


CONDITION_SCHEMA = {"type": ["string", "boolean"], "minLength": 1}

Condition = Annotated[str, BeforeValidator(_checked), WithJsonSchema(CONDITION_SCHEMA)]
"""A field that holds a condition."""


def condition_names(text: str) -> Variables:
    """Return the columns that a condition looks at."""
    return _compiled(text).names


def settled_verdict(text: str) -> bool | None:
    """Return what a condition says of every row, where it looks at none, as `false` does; None where that depends on the row."""
    compiled = _compiled(text)
    if compiled.names.needed or compiled.names.optional:
        return None
    try:
        return compiled.holds({})
    except TemplateError:
        return None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a condition says of rows."""

    holds: npt.NDArray[np.bool_]
    """True for each row for which it holds."""
    failures: Mapping[int, str]
    """Rows of which it can say nothing, by place, and why."""


def judge(text: str, table: pa.Table) -> Verdicts:
    """Ask a condition of every row of a table."""
    import numpy as np

    compiled = _compiled(text)
    wanted = compiled.names.needed | compiled.names.optional
    holds, failures = np.zeros(table.num_rows, np.bool_), dict[int, str]()
    for start in range(0, table.num_rows, PART_ROWS):
        for place, row in enumerate(values_of(table.slice(start, PART_ROWS), wanted), start):
            try:
                holds[place] = compiled.holds(row)
            except TemplateError as error:
                failures[place] = f"'{text}' cannot be asked of this row: {error.message}."
    return Verdicts(holds, failures)


def _missing(value: Any) -> bool:
    return value is None or isinstance(value, Undefined)


def _safe(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], bool]:
    """Return a comparison that does not hold where there is nothing to compare."""

    def compared(left: Any, right: Any) -> bool:
        if _missing(left) or _missing(right):
            return False
        try:
            return bool(compare(left, right))
        except TypeError as error:
            shown = f"{left!r:.60} and {right!r:.60} cannot be compared"
            numbers = "; '|int' or '|float' behind a text makes a number of it"
            is_text = isinstance(left, str) != isinstance(right, str)
            raise TypeError(shown + numbers * is_text) from error

    return compared


def _within(one: Any, many: Any) -> bool:
    return one in many


class _Conditions(Sandbox):
    """The sandbox of prompts, with comparisons that take nulls."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("gt", "ge", "lt", "le"):
            self.add_test(name, _safe(getattr(operator, name)))
        self.add_test("in", _safe(_within))
        self.add_test("notin", _safe(lambda one, many: one not in many))


_ENVIRONMENT = _Conditions()


class _NullSafe(NodeTransformer):
    """Puts tests in the place of comparisons that fail on a null."""

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - the name that Jinja looks for
        self.generic_visit(node)
        if not any(operand.op in _SAFE for operand in node.ops):
            return node
        made: nodes.Expr | None = None
        left = node.expr
        for operand in node.ops:
            one = self._compared(left, operand)
            made = one if made is None else nodes.And(made, one, lineno=node.lineno)
            left = operand.expr
        assert made is not None
        return made

    @staticmethod
    def _compared(left: nodes.Expr, operand: nodes.Operand) -> nodes.Expr:
        if operand.op not in _SAFE:
            return nodes.Compare(left, [operand], lineno=left.lineno)
        return nodes.Test(left, _SAFE[operand.op], [operand.expr], [], None, None, lineno=left.lineno)


@dataclass(frozen=True, slots=True)
class _Compiled:
    expression: TemplateExpression
    names: Variables

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Ask it of a row.

        Raises:
            TemplateError: The row's values do not fit.
        """
        try:
            with limited():
                return bool(self.expression(row))
        except TypeError as error:
            raise TemplateError(str(error)) from error
        except UNFIT as error:
            raise TemplateError(f"{type(error).__name__}: {error}") from error


@lru_cache(maxsize=1024)
def _compiled(text: str) -> _Compiled:
    """Compile a condition, as Jinja's ``compile_expression`` does.

    Raises:
        TemplateProblem: Its syntax is wrong, or it reaches for what the sandbox keeps from it.
    """
    with bounded():
        tree = nodes.Template([nodes.Assign(nodes.Name("result", "store"), _parsed(text), lineno=1)], lineno=1)
        tree.set_environment(_ENVIRONMENT)
        check_tree(tree)
        names = variables_of(tree)
        _NullSafe().visit(tree)
        tree.set_environment(_ENVIRONMENT)
        return _Compiled(TemplateExpression(_ENVIRONMENT.from_string(tree), undefined_to_none=True), names)


def _parsed(text: str) -> nodes.Expr:
    try:
        parser = Parser(_ENVIRONMENT, text, state="variable")
        expression = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current
            raise TemplateSyntaxError(f"there is no meaning for '{token.value}' here", token.lineno)
    except TemplateSyntaxError as error:
        hint = next((hint for sign, hint in _HINTS.items() if sign in str(error.message)), "")
        raise TemplateProblem(f"the condition '{text}' is wrong: {error.message}.{hint}", error.lineno) from error
    return expression
