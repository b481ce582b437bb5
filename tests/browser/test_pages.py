"""Pages in a real browser: phone and desktop, light and dark, by keyboard alone. ``make browser`` installs what this needs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.report.comparison import compare, comparison_page
from sdg_prefect.report.page import report_page
from tests.pages import ROOT
from tests.unit.report.test_page import GATE, HOSTILE
from tests.unit.report.told import told

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_MODULES = Path(os.environ.get("NODE_PATH") or ROOT / ".browser" / "node_modules")

pytestmark = pytest.mark.long


def test_pages_of_reports_have_no_fault_that_anybody_meets(tmp_path: Path) -> None:
    run = told(gates=[GATE, {**GATE, "holds": True}], warnings=["beware"])
    hostile = told(text="".join(HOSTILE), error="".join(HOSTILE))
    pages = {
        "report": report_page(run.report, run.figures, run.manifest),
        "hostile": report_page(hostile.report, hostile.figures, hostile.manifest),
        "comparison": comparison_page(compare(run, hostile)),
    }
    for name, page in pages.items():
        (tmp_path / f"{name}.html").write_text(page, "utf-8")
    for one in look(tmp_path / f"{name}.html" for name in pages):
        assert one["asked"] == 1, one["name"]


def test_pages_of_the_site_have_no_fault_that_anybody_meets_and_can_be_searched(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True)
    pages = (
        "index",
        "own-data",
        "concepts",
        "flow-files",
        "commands",
        "troubleshooting",
        "from-distilabel",
        "benchmarks",
        "flows/index",
    )
    for one in look(tmp_path / f"{name}.html" for name in pages):
        assert one["found"] > 0, one["name"]


def look(pages: Iterable[Path]) -> list[dict[str, Any]]:
    """Look at pages in every way, and return what there is to see."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None or not (_MODULES / "axe-core").is_dir():
        pytest.skip("no browser, or no axe-core; make browser installs the latter")
    files = [str(page) for page in pages]
    command = ["node", str(Path(__file__).with_name("look.cjs")), browser, *files]
    looked = subprocess.run(command, env={**os.environ, "NODE_PATH": str(_MODULES)}, capture_output=True, text=True, check=False)
    assert looked.returncode == 0, looked.stderr
    found: list[dict[str, Any]] = json.loads(looked.stdout)
    assert len(found) == 4 * len(files)
    for one in found:
        assert [fault for fault in one["faults"] if fault["impact"] in ("serious", "critical")] == [], one["name"]
        assert (one["elsewhere"], one["failures"]) == ([], []), one["name"]
        assert one["overflow"] <= 0, one["name"]
        assert one["keyboard"]["reached"] >= one["keyboard"]["wanted"], one["name"]
        assert (one["keyboard"]["unseen"], one["keyboard"]["opens"]) == (0, True), one["name"]
    return found
