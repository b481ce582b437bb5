"""Blocks that are made of blocks: a pipeline inside a pipeline, and a repetition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block


class StructureBlock(Block):
    """A block that the plan takes apart: its inner blocks run, not itself."""

    makes_rows: ClassVar[bool] = True
    is_opaque: ClassVar[bool] = True
    family: ClassVar[str] = "Blocks made of blocks"


@block("PipelineBlock")
class PipelineBlock(StructureBlock):
    """Run another pipeline here, as a nested one: from a flow file, or written in place."""

    example: ClassVar[Example] = Example(config={"flow": "summaries/flow.yaml"})

    flow: str | None = None
    """Path of a flow file."""
    blocks: Sequence[Any] | None = None
    """The blocks, written here."""


@block("IterBlock")
class IterBlock(StructureBlock):
    """Repeat a block or a pipeline on the same rows and put the results one after another.

    Each round has row ids of its own, so that a model is asked anew in each.
    """

    example: ClassVar[Example] = Example(
        config={"num_iters": 3, "block_type": "PipelineBlock", "block_kwargs": {"flow": "questions/flow.yaml"}},
    )

    num_iters: int = Field(ge=1)
    """How often."""
    block_type: str = Field(min_length=1)
    """The block to repeat; ``PipelineBlock`` repeats a pipeline."""
    block_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """The ``block_config`` of the inner block. Its name is this block's if it has none."""
    gen_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """Sampling parameters of the inner block."""
