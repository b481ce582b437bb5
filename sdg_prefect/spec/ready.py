"""The flows that come with the package: where they are, what their pages say, and a copy to start from."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from sdg_prefect.errors import FlowError, did_you_mean

_PACKAGE = Path(__file__).parents[1]
_LINK_UP = re.compile(r"\[([^\]]*)\]\(\.\./[^)]*\)")
_SECTION = r"^## {}\n+(.*?)(?=^## |\Z)"


def ready_folder() -> Path:
    """Return the folder of the ready flows: a part of an installed package, beside it in a clone."""
    installed = _PACKAGE / "ready"
    return installed if installed.is_dir() else _PACKAGE.parent / "flows"


def ready_flows() -> dict[str, Path]:
    """Return the files of the ready flows by the names of their folders."""
    return {path.parent.name: path for path in sorted(ready_folder().glob("*/flow.yaml"))}


def page_of(flow: Path) -> str:
    """Return the page that stands beside a flow; empty where there is none."""
    page = flow.with_name("README.md")
    return page.read_text("utf-8") if page.is_file() else ""


def first_words(page: str) -> str:
    """Return the paragraph after the title of a page."""
    paragraphs = [paragraph for paragraph in page.split("\n\n") if paragraph.strip()]
    return " ".join(paragraphs[1].split()) if len(paragraphs) > 1 else ""


def section(page: str, title: str) -> str:
    """Return what a page says under a heading; empty where it has none of that name."""
    found = re.search(_SECTION.format(re.escape(title)), page, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def copy_flow(name: str, target: Path) -> Path:
    """Copy a ready flow with its prompts, seeds and page to a folder.

    Args:
        name: The flow, as ``ready_flows`` names it.
        target: A folder that is not there yet, or is empty.

    Returns:
        The flow file of the copy, whose page speaks of its new place.

    Raises:
        FlowError: There is no such flow, or the folder holds something or cannot be written.
    """
    flows = ready_flows()
    if name not in flows:
        raise FlowError(
            f"there is no ready flow '{name}'.", did_you_mean(name, flows) or "'python -m sdg_prefect flows' lists them."
        )
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FlowError(f"'{target}' is there and not empty.", "Name a new folder; nothing was written.")
    try:
        shutil.copytree(flows[name].parent, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        page = target / "README.md"
        if page.is_file():
            text = page.read_text("utf-8").replace(f"flows/{name}/", f"{target.as_posix()}/")
            page.write_text(_LINK_UP.sub(r"\1", text), "utf-8")
    except OSError as error:
        raise FlowError(f"cannot copy the flow to '{target}': {error.strerror or error}.") from error
    return target / "flow.yaml"
