"""The catalogue of block types: built in, registered by decorator, or brought by an entry point."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from sdg_prefect.blocks.base import Block
from sdg_prefect.errors import FlowError

GROUP = "sdg_prefect.blocks"
"""Entry point group of packages that bring blocks: ``name = "package.module:Class"`` or ``name = "package.module"``."""

_BLOCKS: dict[str, type[Block]] = {}

T = TypeVar("T", bound=type)


def block(name: str) -> Callable[[T], T]:
    """Register a class under the name that flows use as ``block_type``.

    Args:
        name: The block type.

    Returns:
        A decorator for a subclass of ``Block``, or for a class with ``generate(self, samples, **gen_kwargs)``, which is wrapped.

    Raises:
        FlowError: The name is taken by another class.
    """

    def register(cls: T) -> T:
        from sdg_prefect.blocks.upstream import adapt

        registered = adapt(cls, name)
        taken = _BLOCKS.get(name)
        if taken is not None and (taken.__module__, taken.__qualname__) != (registered.__module__, registered.__qualname__):
            raise FlowError(f"block type '{name}' is registered twice: {taken.__module__} and {cls.__module__}.")
        _BLOCKS[name] = registered
        return cls

    return register


def find_block(name: str) -> type[Block] | None:
    """Return the class of a block type, loading the package that brings it; None where nobody does."""
    if name not in _BLOCKS:
        for entry in entry_points(group=GROUP):
            if entry.name == name:
                _load(entry.name)
        if name not in _BLOCKS:
            load_plugins()
    return _BLOCKS.get(name)


def block_names() -> list[str]:
    """Return the names of all block types, those of installed packages included."""
    load_plugins()
    return sorted(_BLOCKS)


def load_plugins() -> None:
    """Import every installed package that brings blocks."""
    for entry in entry_points(group=GROUP):
        if entry.name not in _BLOCKS:
            _load(entry.name)


def _load(name: str) -> None:
    """Import what an entry point names; a class that did not register itself is registered under the entry's name."""
    (entry,) = tuple(entry_points(group=GROUP, name=name))[:1]
    try:
        found = entry.load()
    except Exception as error:
        raise FlowError(
            f"the package {entry.dist.name if entry.dist else entry.value} brings the block '{name}', but it cannot be "
            f"imported: {type(error).__name__}: {error}."
        ) from error
    if isinstance(found, type) and found not in _BLOCKS.values() and name not in _BLOCKS:
        block(name)(found)
