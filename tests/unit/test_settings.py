"""Environment variables that make no sense cost no call, and are told in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart" / "flow.yaml"


def said(**variables: str) -> tuple[int, str]:
    """Check a flow under some variables, and return the exit status and what was said."""
    command = [sys.executable, "-m", "sdg_prefect", "check", str(QUICKSTART)]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("SDG_PREFECT_CONCURRENCY", "many", "has to be a valid integer, and is 'many'."),
        ("SDG_PREFECT_CONCURRENCY", "0", "has to be greater than or equal to 1, and is '0'."),
        ("SDG_PREFECT_SERVER_PORT", "70000", "has to be less than or equal to 65535, and is '70000'."),
        ("SDG_PREFECT_TELEMETRY", "perhaps", "has to be a valid boolean, and is 'perhaps'."),
        ("SDG_PREFECT_CONCURENCY", "8", "says nothing. Did you mean 'SDG_PREFECT_CONCURRENCY'?"),
    ],
)
def test_a_variable_that_makes_no_sense_is_told_in_one_line(variable: str, value: str, told: str) -> None:
    assert said(**{variable: value}) == (2, f"the environment variable {variable} {told}\n")


def test_all_of_them_are_told_at_once() -> None:
    status, text = said(SDG_PREFECT_CONCURRENCY="many", SDG_PREFECT_CALL_ATTEMPS="3")
    assert (status, len(text.splitlines())) == (2, 2)


def test_an_empty_variable_and_one_of_somebody_else_change_nothing() -> None:
    status, text = said(SDG_PREFECT_CONCURRENCY="", SDG_PREFECT_IMAGE="registry/image")
    assert (status, text) == (0, f"{QUICKSTART}: quickstart is fine: 4 blocks.\n")
