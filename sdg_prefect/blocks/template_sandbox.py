"""The sandbox of templates: they see values of a row, call what is known to do no harm, and come to an end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from functools import wraps
from types import BuiltinMethodType, MethodType
from typing import Any, cast

from jinja2 import Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from jinja2.visitor import NodeTransformer

from sdg_prefect.blocks.effort import Rounds, counted, joined, pay_call, pay_round, spend, weighed, written
from sdg_prefect.blocks.growth import FILTERS, METHODS, Growth, formatted, pay_for_operation

_TEXT = (
    "capitalize casefold center count encode endswith expandtabs find format format_map index join ljust lower lstrip partition "
    "isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper "
    "removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase "
    "title upper zfill"
)
_CALLED: Sequence[tuple[Any, frozenset[str]]] = tuple(
    (kind, frozenset(names.split()))
    for kind, names in (
        (str, _TEXT),
        (bytes, "count decode endswith find hex startswith"),
        ((list, tuple), "copy count index"),
        (dict, "copy get items keys values"),
        ((int, float, Decimal), "bit_count bit_length is_finite is_integer is_nan"),
        ((date, time, timedelta), "ctime date isocalendar isoformat isoweekday strftime time timestamp total_seconds weekday"),
        (LoopContext, "changed cycle"),
        (Cycler, "next reset"),
    )
)
"""The methods that a template may call, by what they belong to. None changes a value; what makes one longer has a price."""
_MADE = (Macro, LoopContext, BlockReference, Joiner, Undefined)
"""What Jinja makes for a template and is called in it."""
_AS_A_WHOLE = frozenset(
    "abs attr batch count d default first items last length list map random reject rejectattr reverse select selectattr "
    "slice".split()
)
"""Filters that do not look into what is in a list."""
_ROUNDS, _WEIGHED, _WRITTEN = "\trounds", "\tweighed", "\twritten"
"""Filters of our own, by names that nobody can write."""


class Sandbox(ImmutableSandboxedEnvironment):
    """No attribute that leads into Python, no call of what is not known, no more work than a prompt needs."""

    intercepted_binops = frozenset({"*", "**", "+", "%", "//"})
    concat = staticmethod(joined)

    def __init__(self) -> None:
        # What is constant is computed with the row too, where it is paid for.
        super().__init__(optimized=False, finalize=_finalize)
        self.code_generator_class = _Compiler
        # It makes as many words by chance as it is told to, which no prompt needs.
        del self.globals["lipsum"]
        self.callable = (*(self.globals[name] for name in ("range", "dict")), Cycler, Joiner, Namespace)
        self.filters = {
            name: _paid(function, FILTERS.get(name), counted if name in _AS_A_WHOLE else weighed)
            for name, function in self.filters.items()
        }
        self.filters |= {_ROUNDS: Rounds, _WEIGHED: weighed, _WRITTEN: written}
        for name, test in self.tests.items():
            self.add_test(name, cast("Callable[..., bool]", test))

    def add_test(self, name: str, function: Callable[..., bool]) -> None:
        """Give templates a test."""
        self.tests[name] = _paid(function, None, weighed)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        pay_for_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        raise SecurityError(f"'{attribute}' is not a part of the row")

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None
        return cast("Callable[..., str]", _Format(wrapped, value.__self__))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in Jinja: the row may have a name 'self'
        pay_call()
        growth = __self._known(__obj)
        if isinstance(__obj, BuiltinMethodType | MethodType):
            if growth is METHODS["join"] and len(args) == 1:
                args = (list(args[0]),)
            _pay((__obj.__self__, *args), kwargs, growth, weighed)
        return super().call(__context, __obj, *args, **kwargs)

    def _known(self, function: Any) -> Growth | None:
        """Return how what a function returns may grow, if it may be called at all."""
        if isinstance(function, BuiltinMethodType | MethodType):
            name = function.__name__
            if any(isinstance(function.__self__, kind) and name in names for kind, names in _CALLED):
                return METHODS.get(name)
        elif isinstance(function, (*_MADE, _Format)) or any(function is one for one in self.callable):
            return None
        raise SecurityError(f"'{getattr(function, '__name__', type(function).__name__)}' cannot be called in a prompt")


class _Format:
    """A text's own ``format``, in the sandbox."""

    def __init__(self, function: Callable[..., str], text: str) -> None:
        self._function, self._text = function, text
        self.__name__ = "format"

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        spend(formatted(self._text, *args, **kwargs))
        return self._function(*args, **kwargs)


@pass_context
def _finalize(_: Context, value: Any) -> Any:
    """Pay for a list before it is written; texts are paid for when they are joined."""
    return value if isinstance(value, str) else written(value)


def _paid(function: Callable[..., Any], growth: Growth | None, look: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a filter or test that is paid for."""
    first = int(hasattr(function, "jinja_pass_arg"))

    @wraps(function)
    def paid(*args: Any, **kwargs: Any) -> Any:
        pay_round()
        _pay(args[first:], kwargs, growth, look)
        return function(*args, **kwargs)

    return paid


def _pay(args: Sequence[Any], named: dict[str, Any], growth: Growth | None, look: Callable[[Any], Any]) -> None:
    for value in (*args, *named.values()):
        look(value)
    if growth is not None:
        try:
            spend(growth(*args, **named))
        except (TypeError, ValueError, AttributeError, IndexError):
            # The call itself says what is wrong with its arguments.
            return


class _Priced(NodeTransformer):
    """Puts filters of ours where a template does something that is no call: loops, comparisons, joins, parts of texts, keys."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the names that Jinja looks for
        self.generic_visit(node)
        node.iter = _through(_ROUNDS, cast("nodes.Expr", node.iter))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.nodes = [_through(_WRITTEN, one) for one in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.expr = _through(_WEIGHED, node.expr)
        for operand in node.ops:
            operand.expr = _through(_WEIGHED, operand.expr)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        node.key = _through(_WEIGHED, node.key)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _through(_WEIGHED, node)
        node.arg = _through(_WEIGHED, node.arg)
        return node


def _through(name: str, node: nodes.Expr) -> nodes.Expr:
    """Send what an expression gives through a filter; a constant is as short as it stands."""
    if isinstance(node, nodes.Const):
        return node
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=node.environment)


class _Compiler(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:  # noqa: N802
        super().visit_Template(_Priced().visit(node), frame)
