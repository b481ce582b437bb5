"""YAML with line numbers: content, and the line of every key and item."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from sdg_prefect.errors import Problem

Path = tuple[str | int, ...]
"""Keys and indices from the root of a YAML file to a value."""

_MAX_NODES = 200_000
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass
class Document:
    """What a YAML file says, and where."""

    data: Any
    file: str
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, *path: str | int) -> int:
        """Return the line of a key or item, or of the nearest thing around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def problem(self, message: str, hint: str = "", *path: str | int, warning: bool = False) -> Problem:
        """Make a problem with the place of a key or item."""
        return Problem(message, hint, self.file, self.line(*path), warning)


def read_document(text: str, file: str) -> Document:
    """Parse YAML; what is wrong with it stands in the document's problems.

    ``${NAME}`` and ``${NAME:-default}`` in values are filled from the environment. A key that stands twice is a problem.
    """
    document = Document(None, file)
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            document.data = _Builder(loader, document).build(node, ())
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error) or type(error).__name__
        line = mark.line + 1 if mark else 0
        document.problems.append(Problem(f"not valid YAML: {reason}.", file=file, line=line))
    finally:
        loader.dispose()
    return document


class _Builder:
    """Makes values of nodes, and notes their lines."""

    def __init__(self, loader: yaml.SafeLoader, document: Document) -> None:
        self._loader = loader
        self._document = document
        self._nodes = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise yaml.constructor.ConstructorError(None, None, "its aliases unfold to too many values", node.start_mark)
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[Any, Any]:
        self._loader.flatten_mapping(node)
        made: dict[Any, Any] = {}
        own: set[Any] = set()
        for key_node, value_node in node.value:
            key = self._loader.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be a word or a number", key_node.start_mark)
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

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        if "${" in node.value:
            filled = _VARIABLE.sub(self._variable(node), node.value)
            if filled != node.value and node.style is None:
                return yaml.safe_load(filled) if filled else ""
            return filled
        return self._loader.construct_object(node, deep=True)

    def _variable(self, node: yaml.ScalarNode) -> Callable[[re.Match[str]], str]:
        def value(match: re.Match[str]) -> str:
            name, default = match.group(1), match.group(2)
            found = os.environ.get(name, default)
            if found is None:
                line = node.start_mark.line + 1
                hint = f"Set it, or write ${{{name}:-default}}."
                problem = Problem(f"the environment variable {name} is not set.", hint, self._document.file, line)
                self._document.problems.append(problem)
                return ""
            return found

        return value
