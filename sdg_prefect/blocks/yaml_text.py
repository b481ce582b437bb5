"""YAML of people we do not know: plain values only, and no more of them than a flow can need."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError

_MOST_CHARACTERS = 10_000_000
_MOST_VALUES = 100_000
"""Values of a file, aliases and merges unfolded."""
_MERGE = "tag:yaml.org,2002:merge"


class Loader(yaml.SafeLoader):
    """Reads plain values. A small file cannot stand for a large one: merges (``<<``) count as often as they are unfolded."""

    def __init__(self, text: str) -> None:
        if len(text) > _MOST_CHARACTERS:
            raise yaml.YAMLError(f"it has {len(text):,} characters, more than {_MOST_CHARACTERS:,}")
        super().__init__(text)
        self._values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Count the values as they are read."""
        found: yaml.Node | None = super().compose_node(parent, index)
        self._count(1, found)
        return found

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put merged keys into a mapping, once it is known how many they are."""
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for one in merged:
                    if isinstance(one, yaml.MappingNode):
                        self.flatten_mapping(one)
                        self._count(len(one.value), key)
        super().flatten_mapping(node)

    def _count(self, values: int, node: yaml.Node | None) -> None:
        self._values += values
        if self._values > _MOST_VALUES:
            raise ConstructorError(None, None, "it has too many values", node.start_mark if node else None)


def load_yaml(text: str) -> tuple[Any, list[tuple[str, int]]]:
    """Read YAML.

    Returns:
        Its content; and the keys that stand twice in a mapping, each with its line: the last one counts.

    Raises:
        yaml.YAMLError: It is not YAML, has other than plain values, or too many of them.
        RecursionError: It is nested too deep.
    """
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, []
        if _unfolded(node, {}) > _MOST_VALUES:
            raise ConstructorError(None, None, "its aliases unfold to too many values", node.start_mark)
        twice = _standing_twice(node)
        return loader.construct_document(node), twice
    finally:
        loader.dispose()


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Count the values of a node where each alias stands for all that it names."""
    if id(node) not in known:
        known[id(node)] = _MOST_VALUES + 1  # That of a node that contains itself.
        parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
        known[id(node)] = 1 + (0 if isinstance(node, yaml.ScalarNode) else sum(_unfolded(part, known) for part in parts))
    return known[id(node)]


def _standing_twice(root: yaml.Node) -> list[tuple[str, int]]:
    found, waiting, seen = [], [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
            continue
        keys = set[str]()
        for key, value in node.value:
            waiting.append(value)
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in keys:
                    found.append((key.value, key.start_mark.line + 1))
                keys.add(key.value)
    return found
