"""Values that the command line sets over those of a flow file: ``--set block.key=value``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from sdg_prefect.errors import Problem, did_you_mean


def value_of(text: str) -> Any:
    """Read a value of the command line as YAML does; what is no YAML, as ``{{ name }}``, stays a text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


@dataclass
class Overrides:
    """What is to be set, and which blocks were there to take it."""

    values: list[tuple[str, tuple[str, ...], Any]] = field(default_factory=list)
    """Block name, path of the key, value."""
    _seen: set[str] = field(default_factory=set)

    @classmethod
    def parse(cls, texts: Sequence[str], problems: list[Problem]) -> Overrides:
        """Read ``block.key=value`` texts; values are read as YAML does."""
        made = cls()
        for text in texts:
            target, equals, value = text.partition("=")
            block, *keys = target.strip().split(".")
            if not equals or not block or not keys or not all(keys):
                problems.append(Problem(f"--set '{text}' is not of the form BLOCK.KEY=VALUE."))
                continue
            made.values.append((block, tuple(keys), value_of(value)))
        return made

    def note(self, block: str) -> None:
        """Take note that a block is there, whether or not it can be read."""
        self._seen.add(block)

    def sets(self, block: str, path: Sequence[str | int]) -> bool:
        """True if a value of a block comes from the command line, not from the file."""
        return any(name == block and path and keys[: len(path)] == tuple(path)[: len(keys)] for name, keys, _ in self.values)

    def apply(
        self, block: str, config: Mapping[str, Any], gen_kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the configuration and the sampling parameters of a block with what was set for it."""
        both: dict[str, Any] = {"config": dict(config), "gen": dict(gen_kwargs)}
        for name, keys, value in self.values:
            if name == block:
                inside = ("gen", *keys[1:]) if keys[0] == "gen_kwargs" and len(keys) > 1 else ("config", *keys)
                _set(both, inside, value)
        return both["config"], both["gen"]

    def report_unused(self, problems: list[Problem]) -> None:
        """Report values for blocks that the flow does not have."""
        unused = dict.fromkeys(block for block, _, _ in self.values if block not in self._seen)
        problems += [Problem(f"--set: the flow has no block '{name}'.", did_you_mean(name, self._seen)) for name in unused]


def _set(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = values.get(key)
        values[key] = dict(inner) if isinstance(inner, dict) else {}
        values = values[key]
    values[keys[-1]] = value
