"""Blocks of an installed package are found by their entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_block"

pytestmark = pytest.mark.e2e


def _installed(folder: Path) -> Path:
    """Lay out the example's module and its entry points as pip does."""
    (folder / "blocks.py").write_text((EXAMPLE / "blocks.py").read_text())
    about = folder / "sdg_prefect_example_blocks-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: sdg-prefect-example-blocks\nVersion: 0.1.0\n")
    (about / "entry_points.txt").write_text("[sdg_prefect.blocks]\nexample = blocks\n")
    return folder


def _sdg(*words: str, path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), str(EXAMPLE.parents[1])])}
    command = [sys.executable, "-m", "sdg_prefect", *words]
    return subprocess.run(command, env=environment, cwd=path, capture_output=True, text=True, check=False, timeout=120)


def test_the_blocks_of_an_installed_package_are_known_by_name(tmp_path: Path) -> None:
    found = _sdg("check", str(EXAMPLE / "flow.yaml"), path=_installed(tmp_path))
    assert (found.returncode, found.stderr) == (0, "")
    listed = _sdg("blocks", path=tmp_path)
    assert "WordCountBlock" in listed.stdout


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    _installed(tmp_path)
    (tmp_path / "blocks.py").write_text("import nowhere_to_be_found\n")
    failed = _sdg("check", str(EXAMPLE / "flow.yaml"), path=tmp_path)
    assert failed.returncode == 2
    assert "sdg-prefect-example-blocks" in failed.stderr
    assert "nowhere_to_be_found" in failed.stderr
    assert "Traceback" not in failed.stderr
