"""Run code that a model wrote, and test it."""

from __future__ import annotations

import ast
import re
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sandbox import Ran, can_be_alone, run_python
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_FENCE = re.compile(r"```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)
_TESTS = """

import inspect as _inspect, sys as _sys, traceback as _traceback
_failed = 0
for _name, _test in sorted(((name, value) for name, value in globals().copy().items() if name.startswith("test_")
                            and _inspect.isfunction(value)), key=lambda one: one[1].__code__.co_firstlineno):
    try:
        _test()
    except Exception:
        _failed += 1
        _sys.stderr.write(_name + ": " + _traceback.format_exc(limit=-1))
_sys.stdout.flush()
_sys.stderr.write("{mark}")
_sys.exit(1 if _failed else 0)
"""


def code_in(text: str) -> str:
    """Return the code in a reply: that in its fences one after another, or the whole of it."""
    fenced = _FENCE.findall(text)
    return "\n\n".join(part.rstrip() for part in fenced) if fenced else text


class CodeBlock(Block):
    """A block that runs Python programs."""

    family: ClassVar[str] = "Code"

    code_col: str = Field(min_length=1)
    """Column with the program; of a reply with fences, the code in them."""
    seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """Seconds that a program may take."""
    memory_mb: Annotated[int, Field(ge=64)] = 512
    """MiB of address space that a program may have."""
    at_once: Annotated[int, Field(ge=1, le=64)] = 2
    """Programs of a shard that run side by side."""
    network: Literal["forbidden", "allowed"] = "forbidden"
    """``allowed`` leaves programs the network, where the machine cannot keep them off it."""

    @model_validator(mode="after")
    def _can_be_kept_off(self) -> CodeBlock:
        if self.network == "forbidden" and not can_be_alone():
            said = "this machine cannot keep programs off the network. Run in a container, and set 'network: allowed'."
            raise PydanticCustomError("network", "{message}", {"message": said})
        return self

    def _run_all(self, programs: list[tuple[str, str]]) -> list[Ran]:
        """Run programs, each with its input."""
        network = self.network == "allowed"
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(
                pool.map(
                    lambda one: run_python(one[0], one[1], seconds=self.seconds, memory_mb=self.memory_mb, network=network),
                    programs,
                )
            )


@block("RunCode")
class RunCode(CodeBlock):
    """Run a Python program in a process of its own, and keep what it writes.

    The process has limits of time, memory and files, an empty environment and no network; it is no wall against people who mean
    harm: it reads what your user can read. Run flows with code of unknown origin in a container. A row without code is rejected;
    a program that fails is no reject: its ``status`` says so.
    """

    example: ClassVar[Example] = Example(
        config={"code_col": "code", "output_col": "run"},
        rows=[{"code": "print(6 * 7)"}],
        output=[{"code": "print(6 * 7)", "run": {"status": "ok", "stdout": "42\n", "stderr": ""}}],
    )

    output_col: str = Field(default="run", min_length=1)
    """Column that gets ``status`` (``ok``, ``failed``, ``timeout`` or ``killed``), ``stdout`` and ``stderr``."""
    stdin_col: str | None = None
    """Column with what the program can read."""

    def reads(self) -> Iterable[str]:
        return [name for name in (self.code_col, self.stdin_col) if name is not None]

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Run each program."""
        import pyarrow as pa

        table = to_table(rows)
        codes = table.column(self.code_col).to_pylist()
        given = [""] * len(codes) if self.stdin_col is None else table.column(self.stdin_col).to_pylist()
        places = _with_code(codes, self.code_col, context)
        ran = self._run_all([(code_in(codes[place]), str(given[place] or "")) for place in places])
        expansion = Expansion((self.output_col,))
        for place, one in zip(places, ran, strict=True):
            expansion.add(place, [{"status": one.status, "stdout": one.stdout, "stderr": one.stderr}])
        kind = pa.struct([(name, pa.string()) for name in ("status", "stdout", "stderr")])
        return to_dataset(expansion.table(table, kind))


@block("TestCode")
class TestCode(CodeBlock):
    """Run tests of a Python program: statements with ``assert``, and functions whose names begin with ``test_``.

    The tests run behind the program, in the process that ``RunCode`` describes. ``keep: passed`` leaves out rows
    whose tests fail. A row whose tests would test nothing, such as methods of a class, is rejected.
    """

    __test__: ClassVar[bool] = False
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"code_col": "code", "tests_col": "tests", "keep": "passed"},
        rows=[
            {"code": "def twice(n): return 2 * n", "tests": "assert twice(3) == 6"},
            {"code": "def twice(n): return n", "tests": "assert twice(3) == 6"},
        ],
        output=[{"code": "def twice(n): return 2 * n", "tests": "assert twice(3) == 6", "passed": True, "error": None}],
    )

    tests_col: str = Field(min_length=1)
    """Column with the tests; of a reply with fences, the code in them."""
    output_col: str = Field(default="passed", min_length=1)
    """Column that is true where all tests pass."""
    error_col: str | None = "error"
    """Column that gets what went wrong; null for none."""
    keep: Literal["all", "passed"] = "all"
    """Which rows are kept."""

    def reads(self) -> Iterable[str]:
        return (self.code_col, self.tests_col)

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.error_col) if name is not None]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Run the tests of each row."""
        import pyarrow as pa

        table = to_table(rows)
        codes, tests = (table.column(name).to_pylist() for name in self.reads())
        whole = set(_with_code(tests, self.tests_col, context))
        places = [place for place in _with_code(codes, self.code_col, context) if place in whole]
        idle = [place for place in places if _is_idle(code_in(tests[place]))]
        for place in idle:
            said = f"'{self.tests_col}' tests nothing: it has no statement with 'assert', and no function 'test_...'."
            context.reject(place, "NoTests", said, raw=tests[place])
        places = [place for place in places if place not in idle]
        # Nobody knows it beforehand: a program that ends itself has not passed.
        mark = f"\n{secrets.token_hex(16)}"
        runs_tests = _TESTS.replace("{mark}", mark.replace("\n", "\\n"))
        programs = [(f"{code_in(codes[place])}\n\n{code_in(tests[place])}\n{runs_tests}", "") for place in places]
        expansion = Expansion(tuple(self.writes()))
        for place, one in zip(places, self._run_all(programs), strict=True):
            said = one.stderr.removesuffix(mark).strip()
            is_whole = one.stderr.endswith(mark) or one.status != "ok"
            passed = one.status == "ok" and is_whole
            if passed or self.keep == "all":
                error = None if passed else said or ("the program ended before its tests did" if not is_whole else one.status)
                expansion.add(place, [passed, error][: len(expansion.columns)])
        return to_dataset(expansion.table(table, [pa.bool_(), pa.string()]))


def _has_code(text: Any) -> bool:
    return isinstance(text, str) and bool(code_in(text).strip())


def _is_idle(tests: str) -> bool:
    """True for tests that pass whatever the program does; what stands in classes is never called by ``TestCode``."""
    try:
        body = [part for part in ast.parse(tests).body if not isinstance(part, ast.ClassDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # it fails when it is run, with words of Python's own
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    if any(isinstance(part, functions) and part.name.startswith("test_") for part in body):
        return False
    return not any(isinstance(node, ast.Assert | ast.Raise) for part in body for node in ast.walk(part))


def _with_code(codes: list[Any], name: str, context: Context) -> list[int]:
    """Return the places of rows that have a program; the others are rejected."""
    places = []
    for place, code in enumerate(codes):
        if _has_code(code):
            places.append(place)
        else:
            context.reject(place, "NoCode", f"'{name}' has no code.")
    return places
