"""YAML with line numbers: content, and the line of every key and item."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from sdg_prefect.blocks.files import shown_path
from sdg_prefect.blocks.secrets import sounds_like_a_key
from sdg_prefect.blocks.yaml_text import Loader
from sdg_prefect.errors import FlowError, Problem
from sdg_prefect.models.headers import VARIABLE
from sdg_prefect.spec.elsewhere import is_elsewhere, look_up
from sdg_prefect.spec.syntax import syntax_problem

Path = tuple[str | int, ...]
"""Keys and indices from the root of a YAML file to a value."""

_MAX_NODES = 200_000
_MAX_DEPTH = 100
_ANY_BRACES = re.compile(r"\$\{[^}]*\}")
_HEADERS = "extra_headers"
_SECRETS = frozenset({"api_key", "agent_api_key", "mcp_headers", _HEADERS})
"""Keys under which a variable stands for a secret: its name stays, and is filled in when it is needed."""
_TEXT, _LIST, _MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


@dataclass
class Document:
    """What a YAML file says, and where."""

    data: Any
    file: str
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unset: set[Path] = field(default_factory=set)
    """Values that a variable should have filled; that they are missing is a problem already."""

    @property
    def is_unreadable(self) -> bool:
        """True where nothing of the file could be taken."""
        return self.data is None and any(not problem.warning for problem in self.problems)

    def line(self, *path: str | int) -> int:
        """Return the line of a key or item, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def problem(self, message: str, hint: str = "", *path: str | int, warning: bool = False) -> Problem:
        """Make a problem with the place of a key or item."""
        return Problem(message, hint, self.file, self.line(*path), warning)

    def report(self, message: str, hint: str = "", *path: str | int) -> None:
        """Keep a problem, unless it comes of a value that is not there."""
        if path not in self.unset:
            self.problems.append(self.problem(message, hint, *path))

    def warn(self, message: str, hint: str = "", *path: str | int) -> None:
        """Keep a warning."""
        self.problems.append(self.problem(message, hint, *path, warning=True))


def read_file(path: FilePath, kind: str) -> Document:
    """Read a YAML file; that it is not there or not text is a problem like any other.

    Args:
        path: The file.
        kind: What it is called in a message, such as ``flow file``.
    """
    shown = shown_path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        hint = _near(path)
        return Document(None, shown, problems=[Problem(f"the {kind} '{path}' does not exist.", hint)])
    except IsADirectoryError:
        inside = path / "flow.yaml"
        hint = f"Did you mean '{inside}'?" if inside.is_file() else f"Name the {kind} in it."
        return Document(None, shown, problems=[Problem(f"'{path}' is a folder, not a {kind}.", hint)])
    except OSError as error:
        return Document(None, shown, problems=[Problem(f"the {kind} '{path}' cannot be read: {error.strerror}.")])
    try:
        return read_document(content.decode("utf-8-sig"), shown)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Document(None, shown, problems=[Problem("not UTF-8 text.", "Save the file as UTF-8.", shown, line)])


def _near(path: FilePath) -> str:
    """Say which YAML file in the folder is probably meant."""
    stems = {file.stem: file for file in path.parent.glob("*.y*ml")} if path.parent.is_dir() else {}
    near = difflib.get_close_matches(path.stem, stems, n=1)
    return f"Did you mean '{stems[near[0]]}'?" if near else ""


def read_document(text: str, file: str) -> Document:
    """Parse YAML; what is wrong with it stands in the document's problems.

    ``${NAME}`` and ``${NAME:-default}`` in values are filled from the environment, but not where they stand for secrets;
    ``prefect:variable/NAME`` stands for a value that lies elsewhere. A key that stands twice is a problem.
    """
    document = Document(None, file)
    try:
        loader = Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                document.data = _Builder(loader, document).build(node, ())
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        document.problems.append(syntax_problem(error, text, file))
    return document


def _refusal(reason: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, reason, node.start_mark)


class _Builder:
    """Makes values of nodes, and notes their lines."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._nodes = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _refusal("its aliases unfold to too many values", node)
        if len(path) > _MAX_DEPTH:
            raise _refusal("it is nested too deep, or contains itself", node)
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (_LIST, _MAPPING):
            raise _refusal(f"there is no meaning for the tag '{node.tag.replace('tag:yaml.org,2002:', '!!')}' here", node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        self._loader.flatten_mapping(node)
        made: dict[Any, Any] = {}
        own: set[Any] = set()
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refusal("a key has to be a word or a number", key_node)
            key = self._value(key_node)
            line = key_node.start_mark.line + 1
            is_plain = isinstance(key, (str, int, float, bool, type(None)))
            if not is_plain:
                raise _refusal("a key has to be a word or a number", key_node)
            if key in own and self._stands_twice(node, key_node):
                self._document.problems.append(
                    Problem(f"the key '{key}' stands twice here.", "Remove one of them.", self._document.file, line)
                )
            own.add(key)
            self._document.lines[(*path, key)] = line
            made[key] = self.build(value_node, (*path, key))
        return made

    @staticmethod
    def _stands_twice(node: yaml.MappingNode, key_node: yaml.Node) -> bool:
        """True unless the first of two equal keys came from a merge (``<<``), which a key may overrule."""
        return node.start_mark.index <= key_node.start_mark.index <= node.end_mark.index and all(
            node.start_mark.index <= other.start_mark.index for other, _ in node.value if other.value == key_node.value
        )

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if is_elsewhere(node.value):
            return self._looked_up(node.value, path)
        if _HEADERS in path:
            VARIABLE.sub(self._variable(path), node.value)
        if "${" not in node.value or not _SECRETS.isdisjoint(path):
            return self._value(node)
        for name, _ in VARIABLE.findall(node.value):
            if sounds_like_a_key(name):
                message = f"the variable {name} holds a key, by its name, which would then stand in reports and prompts."
                self._document.problems.append(self._document.problem(message, "A model names it with api_key_env.", *path))
        for written in _ANY_BRACES.findall(node.value):
            if not VARIABLE.fullmatch(written) and not written.startswith("${parameters."):
                message = f"'{written}' does not name an environment variable and stays as it is."
                self._document.problems.append(self._document.problem(message, "", *path, warning=True))
        filled = VARIABLE.sub(self._variable(path), node.value)
        if node.style is not None or filled in ("", node.value):
            return filled
        kind = node.tag
        if kind == _TEXT:
            kind = self._loader.resolve(yaml.ScalarNode, filled, (True, False))  # type: ignore[no-untyped-call]
        return self._value(yaml.ScalarNode(kind, filled, node.start_mark, node.end_mark))

    def _looked_up(self, reference: str, path: Path) -> Any:
        try:
            return look_up(reference)
        except FlowError as error:
            self._document.problems += [self._document.problem(one.message, one.hint, *path) for one in error.problems]
            self._document.unset.add(path)
            return reference

    def _value(self, node: yaml.ScalarNode) -> Any:
        try:
            return self._loader.construct_object(node, deep=True)
        except (ValueError, KeyError, AttributeError, OverflowError) as error:
            short = node.value if len(node.value) <= 40 else f"{node.value[:40]}…"
            raise _refusal(f"'{short}' cannot be a date or number; put it in quotes if it is text", node) from error

    def _variable(self, path: Path) -> Callable[[re.Match[str]], str]:
        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            found = os.environ.get(name, default)
            if found is None:
                hint = f"Set it, or write ${{{name}:-default}}."
                message = f"the environment variable {name} is not set."
                self._document.problems.append(self._document.problem(message, hint, *path))
                self._document.unset.add(path)
                return match.group()
            return found

        return value
