"""Blocks: what a step of a pipeline does. Importing this package registers the built-in ones; nothing heavy is loaded."""

from sdg_prefect.blocks import (
    chat,
    columns,
    conditional,
    duplicates,
    filters,
    llm,
    logprobs,
    parsers,
    populate,
    reward,
    structure,
)
from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.blocks.context import Context
from sdg_prefect.blocks.registry import block, block_names, find_block

__all__ = [
    "Block",
    "Columns",
    "Context",
    "Need",
    "block",
    "block_names",
    "chat",
    "columns",
    "conditional",
    "duplicates",
    "filters",
    "find_block",
    "llm",
    "logprobs",
    "parsers",
    "populate",
    "reward",
    "structure",
]
