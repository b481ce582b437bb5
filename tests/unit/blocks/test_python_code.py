"""Code of rows, run in a sandbox."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sdg_prefect.blocks.python_code import PythonInterpreterBlock
from sdg_prefect.testing import run_block


def results(*codes: Any, **fields: Any) -> list[dict[str, Any]]:
    block = PythonInterpreterBlock.model_validate({"block_name": "run", "input_cols": "code", "output_cols": "made", **fields})
    rows = run_block(block, [{"code": code} for code in codes]).rows
    assert [row["made_success"] for row in rows] == [row["made"]["success"] for row in rows]
    return [row["made"] for row in rows]


def test_what_code_prints_and_returns_is_kept() -> None:
    (made,) = results("def double(x):\n    return {'twice': 2 * x}\nprint('hi')\ndouble(21)")
    assert (made["success"], made["output"], json.loads(made["return_value"]), made["error"]) == (
        True,
        "hi\n",
        {"twice": 42},
        None,
    )
    assert made["execution_time_ms"] is None


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("print('before')\nassert 1 == 2", "AssertionError"),
        ("x = (", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("import os\nos.system('ls')", ""),
        ("open('/etc/passwd').read()", ""),
        ("", "there is no code"),
        (None, "there is no code"),
    ],
)
def test_code_that_fails_says_why(code: str | None, error: str) -> None:
    (made,) = results(code)
    assert made["success"] is False
    assert error in made["error"]
    assert made["output"] == ("before\n" if code and "before" in code else None)


def test_code_that_does_not_end_is_stopped_and_the_others_go_on() -> None:
    endless, fine = results("while True:\n    pass", "7", timeout=0.2)
    assert (endless["success"], fine["return_value"]) == (False, "7")


def test_rows_share_nothing() -> None:
    _, later = results("x = 1", "x", max_concurrency=1)
    assert later["success"] is False
