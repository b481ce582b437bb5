"""What stands in a document: code, the files that it writes out, and commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
_OTHERS = {"golden", "build", "dist", "out", "node_modules"}
_SHELLS = ("sh", "bash", "shell", "console")

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```\s*$", re.DOTALL | re.MULTILINE)
"""A block of code."""
OURS = re.compile(r"^(?:\S*python3?(?:\.\d+)? -m sdg_prefect|sdg-prefect)(?: |$)")
"""How a command of ours begins."""


@dataclass(frozen=True)
class Fence:
    """A block of code in a document."""

    language: str
    file: str
    """The file that it is, where its first line names one."""
    text: str


def documents() -> list[Path]:
    """Return all documents, from the root of the project."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not any(part.startswith(".") or part in _OTHERS for part in path.parts))


class Page:
    """A document, or what of it stands above a heading."""

    def __init__(self, document: Path | str, end: str = "") -> None:
        text = (ROOT / document).read_text("utf-8")
        if end:
            text, found, _ = text.partition(end)
            assert found, f"{document} has no {end!r}"
        self.text = text

    @property
    def prose(self) -> str:
        """The text without code."""
        return FENCE.sub("", self.text)

    def fences(self) -> list[Fence]:
        """Return the blocks of code, in order."""
        made = []
        for match in FENCE.finditer(self.text):
            language, _, file = match["info"].strip().partition(" ")
            made.append(Fence(language, file.strip(), match["text"]))
        return made

    def files(self) -> dict[str, str]:
        """Return the files that it writes out; parts of the same file one after another."""
        written: dict[str, str] = {}
        for fence in self.fences():
            if fence.file:
                written[fence.file] = f"{written[fence.file]}\n\n{fence.text}" if fence.file in written else fence.text
        return written

    def write_files(self, folder: Path) -> list[Path]:
        """Write these files."""
        made = []
        for name, text in self.files().items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
            made.append(path)
        return made

    def commands(self) -> list[str]:
        """Return the lines of its shell code, in order, without remarks."""
        shell = "".join(fence.text for fence in self.fences() if fence.language in _SHELLS)
        lines = (re.sub(r"(^|\s+)# .*$", "", line).removeprefix("$ ") for line in shell.replace("\\\n", " ").splitlines())
        return [line.strip() for line in lines if line.strip()]


def arguments(command: str) -> list[str]:
    """Return the words of a command of ours, without its name."""
    return shlex.split(OURS.sub("", command), comments=True)
