"""Run Python code of rows in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.values import as_json
from sdg_prefect.blocks.wired import OneName, WiredBlock
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset
    from pydantic_monty import Monty, MontyError

    from sdg_prefect.blocks.context import Context

_MEMORY = 256 * 2**20
"""Bytes that one piece of code may use."""
_MOST_OUTPUT = 2**20
"""Bytes that it may print."""


@block("PythonInterpreterBlock")
class PythonInterpreterBlock(WiredBlock):
    """Run the Python code in each row in a sandbox, and keep what it printed, returned or failed with.

    The result has ``success``, ``output``, ``error``, ``return_value`` as JSON, and ``execution_time_ms``, which stays null so
    that the same code gives the same row; a second column, with ``_success`` behind its name, says whether it ran. The sandbox
    is Monty, an interpreter for a part of Python without files, network or packages. Needs the extra ``code``.
    """

    packages: ClassVar[Mapping[str, str]] = {"pydantic_monty": "code"}
    family: ClassVar[str] = "Code"
    example: ClassVar[Example] = Example(
        config={"input_cols": "code", "output_cols": "run"},
        rows=[{"code": "print(6 * 7)"}],
        output=[
            {
                "code": "print(6 * 7)",
                "run": {"success": True, "output": "42\n", "error": None, "return_value": None, "execution_time_ms": None},
                "run_success": True,
            }
        ],
    )

    input_cols: OneName
    """The one column of code."""
    output_cols: OneName
    """The column that gets the result."""
    interpreter_framework: Literal["monty"] = "monty"
    """The sandbox."""
    timeout: float = Field(default=30.0, gt=0)
    """Seconds that one piece of code may take."""
    max_concurrency: int = Field(default=10, ge=1)
    """Pieces of code that run at once, at most."""

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return (self.output_cols[0], f"{self.output_cols[0]}_success")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Run the code."""
        import pyarrow as pa
        import pydantic_monty

        table = to_table(rows)
        at_once = min(self.max_concurrency, os.cpu_count() or 1)
        with pydantic_monty.Monty(min_processes=0, max_processes=at_once) as pool, ThreadPoolExecutor(at_once) as threads:
            codes = table.column(self.input_cols[0]).to_pylist()
            results = list(threads.map(lambda code: self._result(pool, code), codes))
        text = pa.string()
        kind = pa.struct(
            [
                ("success", pa.bool_()),
                ("output", text),
                ("error", text),
                ("return_value", text),
                ("execution_time_ms", pa.float64()),
            ]
        )
        column, success = self.writes()
        table = set_column(table, column, pa.array(results, kind))
        return to_dataset(set_column(table, success, pa.array([result["success"] for result in results], pa.bool_())))

    def _result(self, pool: Monty, code: Any) -> dict[str, Any]:
        from pydantic_monty import CollectString, MontyError, ResourceLimits

        if not isinstance(code, str) or not code.strip():
            return {"success": False, "error": "there is no code"}
        limits = ResourceLimits(max_feed_duration_secs=self.timeout, max_memory=_MEMORY)
        printed = CollectString(_MOST_OUTPUT)
        said: dict[str, Any] = {"success": True}
        try:
            with pool.checkout(limits=limits) as session:
                value = session.feed_run(code, print_callback=printed)
        except MontyError as error:
            said = {"success": False, "error": _why(error)}
        else:
            said["return_value"] = None if value is None else as_json(value)
        return {**said, "output": printed.output or None}


def _why(error: MontyError) -> str:
    """Say what went wrong, with the class of the exception where the code raised one."""
    from pydantic_monty import MontyRuntimeError, MontySyntaxError

    return error.display("type-msg") if isinstance(error, (MontyRuntimeError, MontySyntaxError)) else str(error)
