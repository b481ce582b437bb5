"""Files that a flow names: found beside the flow or in the working directory, read once, problems with their place."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import yaml
from pydantic import Field, ValidationInfo, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.yaml_text import load_yaml
from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.frozen import Frozen

if TYPE_CHECKING:
    from pydantic import ValidatorFunctionWrapHandler

V = TypeVar("V")

_LEVELS = 4
_SYSTEM = ("/proc", "/sys", "/dev")

REPORTED = "reported"
"""Type of a validation error whose problem is already in ``FlowFiles.problems``."""


@dataclass
class FlowFiles:
    """Opens what a flow file names, and gathers what is wrong with it."""

    folder: Path
    """Folder of the flow file."""
    problems: list[Problem] = field(default_factory=list)
    default_model: str = ""
    """The model of blocks that name none: the one that the flow recommends."""
    parameters: Mapping[str, Any] | None = None
    """Values of the flow's parameters, for the prompts that use them; None for a flow without parameters."""

    def find(self, name: str) -> Path:
        """Return where a named file is: from the flow's folder, the working directory, or a folder a few levels above the flow.

        The last is how a tree of flows names a tree of prompts that stands beside it, as in sdg_hub's package.

        Raises:
            PydanticCustomError: It is nowhere.
        """
        given = Path(name).expanduser()
        above = list(self.folder.resolve().parents)[:_LEVELS]
        for folder in [Path("/")] if given.is_absolute() else [self.folder, Path.cwd(), *above]:
            if (folder / given).is_file() and not _is_of_the_system(folder / given):
                return folder / given
        raise PydanticCustomError(
            "missing_file", "{message}", {"message": f"the file '{name}' does not exist.{self._near(given)}"}
        )

    def _near(self, given: Path) -> str:
        folder = given.parent if given.is_absolute() else self.folder / given.parent
        if not folder.is_dir():
            return f" There is no folder '{given.parent}' beside the flow." if str(given.parent) != "." else ""
        names = [entry.name for entry in folder.iterdir() if entry.is_file()]
        near = difflib.get_close_matches(given.name, names, n=1)
        return f" Did you mean '{given.parent / near[0]}'?" if near else ""

    def read_mapping(self, name: str) -> tuple[Any, str, str]:
        """Read a YAML file.

        Returns:
            Its content, its text, and its path as people should see it.

        Raises:
            PydanticCustomError: It is missing, cannot be read, or is not YAML; the last is reported with its line.
        """
        path = self.find(name)
        shown = shown_path(path)
        try:
            with _reading(path):
                text = path.read_text("utf-8")
            content, twice = load_yaml(text)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            reason = getattr(error, "problem", None) or str(error)
            self.report(Problem(f"not valid YAML: {reason}.", file=shown, line=mark.line + 1 if mark else 0))
            raise reported() from error
        for key, line in twice:
            self.report(Problem(f"the key '{key}' stands twice here; the last one counts.", "", shown, line, warning=True))
        return content, text, shown

    def report(self, problem: Problem) -> None:
        """Keep a problem, once."""
        if problem not in self.problems:
            self.problems.append(problem)


def _is_of_the_system(path: Path) -> bool:
    """True for what only looks like a file, such as ``/proc/self/environ`` with all keys in it, also behind a link."""
    real = path.resolve()
    return any(real.is_relative_to(folder) for folder in _SYSTEM)


def reported() -> PydanticCustomError:
    """Return the error that says: invalid, and the reason is already reported."""
    return PydanticCustomError(REPORTED, "see the problems of the file")


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory where it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def file_validator(
    kind: type[V], load: Callable[[FlowFiles, str], V]
) -> Callable[[Any, ValidatorFunctionWrapHandler, ValidationInfo], V]:
    """Return a pydantic validator that turns a file's name into what the file says.

    Args:
        kind: What the file becomes; a value that already is one passes.
        load: Reads the file.
    """

    def validate(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> V:
        if isinstance(value, str):
            files = info.context if isinstance(info.context, FlowFiles) else FlowFiles(Path.cwd())
            return load(files, value)
        if isinstance(value, (kind, dict)):
            checked: V = handler(value)
            return checked
        raise PydanticCustomError("file_name", "expected the name of a file")

    return validate


class DataFile(Frozen):
    """A file that a block reads when it runs. Keys see its content, not its name."""

    digest: str
    """The hash of its content."""
    path: str = Field(default="", exclude=True)
    """Where it is."""

    def read(self) -> bytes:
        """Return its content.

        Raises:
            FlowError: It is another one than when the flow was read.
        """
        with open(self.path, "rb") as file:
            content = file.read()
        if _digest(content) != self.digest:
            raise FlowError(f"the file {self.path} was changed after the flow was read.", "Give the same command again.")
        return content


def _data_file(files: FlowFiles, name: str) -> DataFile:
    path = files.find(name)
    with _reading(path):
        return DataFile(digest=_digest(path.read_bytes()), path=str(path))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say of a file that cannot be read which one it is."""
    try:
        yield
    except OSError as error:
        said = f"the file '{shown_path(path)}' cannot be read: {error.strerror or error}."
        raise PydanticCustomError("unreadable_file", "{message}", {"message": said}) from error


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


DataFileField = Annotated[
    DataFile,
    WrapValidator(file_validator(DataFile, _data_file)),
    WithJsonSchema({"type": "string", "description": "Path of a file, from the flow's folder."}),
]
"""A field that holds the name of a file in YAML."""
