"""Blocks: what a step of a pipeline does. Importing this package registers the built-in ones; nothing heavy is loaded."""

from importlib import import_module
from pkgutil import iter_modules

from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.blocks.context import Context
from sdg_prefect.blocks.registry import block, block_names, find_block

__all__ = ["Block", "Columns", "Context", "Need", "block", "block_names", "find_block"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
