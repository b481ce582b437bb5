"""Code that a model wrote: run apart, tested, kept short and off the network."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.blocks.code import RunCode, TestCode, code_in
from sdg_prefect.blocks.sandbox import Ran, can_be_alone, run_python
from sdg_prefect.testing import BlockResult, run_block

pytestmark = pytest.mark.skipif(not can_be_alone(), reason="this machine does not let programs have namespaces of their own")


def tried(code: Any, tests: Any, **config: Any) -> BlockResult:
    given = {"block_name": "t", "code_col": "code", "tests_col": "tests", **config}
    return run_block(TestCode.model_validate(given), [{"code": code, "tests": tests}])


def test_a_program_reads_and_writes() -> None:
    block = RunCode(block_name="r", code_col="code", stdin_col="given")
    code = "Here:\n```python\nprint(input() * 2)\n```\nand\n```\nimport sys; sys.stderr.write('é'); sys.exit(3)\n```"
    (row,) = run_block(block, [{"code": code, "given": "ab"}]).rows
    assert row["run"] == {"status": "failed", "stdout": "abab\n", "stderr": "é"}


def test_the_code_of_a_reply_is_that_in_its_fences() -> None:
    assert code_in("x = 1") == "x = 1"
    assert code_in("Say\n```py\na\n```\nthen\n```Python\nb\n```") == "a\n\nb"
    assert code_in("```python\ncut") == "cut"


def test_tests_are_assertions_and_functions() -> None:
    code = "def twice(n):\n    return 2 * n"
    assert tried(code, "assert twice(2) == 4\ndef test_more():\n    assert twice(0) == 0").rows[0]["passed"] is True
    failed = tried(code, "def test_one():\n    assert twice(1) == 3\n\ndef test_two():\n    assert twice(2) == 4").rows[0]
    assert (failed["passed"], "test_one" in failed["error"], "test_two" in failed["error"]) == (False, True, False)
    assert "NameError" in tried("pass", "assert thrice(1)").rows[0]["error"]
    assert tried(code, "assert twice(1) == 3", keep="passed").counts.filtered == 1
    assert tried("import sys; sys.exit(0)\ndef twice(n): pass", "assert False").rows[0]["passed"] is False


def test_rows_without_code_or_tests_are_rejected() -> None:
    assert [tried(*row).rejects[0].error for row in ((None, "assert 1"), ("x = 1", " "), ("```\n```", "assert 1"))] == [
        "NoCode"
    ] * 3


@pytest.mark.parametrize(
    "tests",
    [
        "# It doubles.",
        "print(twice(2))",
        "import unittest\n\nclass TestTwice(unittest.TestCase):\n    def test_it(self): assert twice(2) == 5",
        "class Checks:\n    pass\n",
    ],
)
def test_tests_that_would_pass_whatever_the_program_does_reject_the_row(tests: str) -> None:
    (reject,) = tried("def twice(n): return 0", tests).rejects
    assert (reject.error, reject.raw) == ("NoTests", tests)


def test_tests_may_raise_in_place_of_asserting_and_be_broken() -> None:
    assert tried("x = 1", "if x != 1:\n    raise ValueError(x)").rows[0]["passed"] is True
    assert "SyntaxError" in tried("x = 1", "assert x ==").rows[0]["error"]


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("while True: pass", "timeout", ""),
        ("import time; time.sleep(30)", "timeout", ""),
        ("x = bytearray(10**10)", "failed", "MemoryError"),
        ("open('big', 'wb').write(b'x' * 10**8)", "failed", "File too large"),
        ("import socket; socket.create_connection(('127.0.0.1', 1), 1)", "failed", "Network is unreachable"),
        ("import os; os.kill(os.getpid(), 9)", "killed", ""),
        ("print('x' * 10**7)", "ok", ""),
    ],
)
def test_limits_hold(code: str, status: str, said: str) -> None:
    ran = run_python(code, seconds=1)
    assert (ran.status, said in ran.stderr) == (status, True) or (status == "killed" and ran.status in ("killed", "ok"))
    assert len(ran.stdout) <= 64 * 1024


def test_a_program_sees_nothing_of_the_environment_and_starts_nothing_that_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in run_python("import os; print(os.environ)").stdout
    mark = f"sdg-left-behind-{os.getpid()}"
    ran = run_python(f"import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)  # {mark}")
    assert ran.status == "ok"
    time.sleep(0.2)
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert not [command for command in commands if b"sdg-code-" in command and mark.encode() in command]


def test_equal_programs_give_equal_results() -> None:
    assert run_python("print({'a', 'b', 'c'})\n1/0") == run_python("print({'a', 'b', 'c'})\n1/0")
    assert isinstance(run_python("pass"), Ran)
