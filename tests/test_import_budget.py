"""The light commands load nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUICKSTART = ROOT / "examples" / "quickstart"
HEAVY = ("prefect", "datasets", "pyarrow", "pandas", "litellm", "aiohttp", "numpy", "fsspec", "httpx", "rich.console")
PROBE = """
import json, sys
from sdg_prefect.cli.app import main
try:
    main()
finally:
    print(json.dumps([name for name in {heavy} if name in sys.modules]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("run", "--help"),
        ("check", "flow.yaml"),
        ("check", "flow.yaml", "--input", "seeds.jsonl"),
        ("plan", "flow.yaml"),
        ("blocks",),
        ("schema",),
        ("flows", "--folder", "."),
    ],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(words: tuple[str, ...]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *words]
    ran = subprocess.run(command, cwd=QUICKSTART, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr.splitlines()[:-1]) == (0, [])
    assert json.loads(ran.stderr.splitlines()[-1]) == []


def test_the_package_itself_loads_nothing() -> None:
    code = "import sys, sdg_prefect; print([name for name in sys.modules if name.startswith(('sdg_prefect.', 'pydantic'))])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


def test_prefects_server_loads_the_block_types_by_entry_point_and_nothing_heavy_with_them() -> None:
    code = (
        "import sys; from prefect.plugins import load_prefect_collections as load; print(load()['sdg_prefect'].__name__);"
        " print([name for name in ('datasets', 'pyarrow', 'pandas', 'litellm', 'aiohttp') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split("\n", 1) == ["sdg_prefect.engine.prefect_blocks", "[]\n"]


def test_telemetry_that_nobody_asks_for_loads_no_sdk() -> None:
    code = (
        "import asyncio, sys; from sdg_prefect.engine.telemetry.run import telling_of\n"
        "async def run():\n"
        "    async with telling_of('flow', 'run', print): pass\n"
        "asyncio.run(run()); print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
