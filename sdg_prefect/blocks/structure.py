"""Blocks that are made of blocks: a pipeline inside a pipeline, repetitions, and branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.conditions import Condition
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.frozen import Frozen


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
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Values of the parameters of that flow file."""


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


@block("RepeatBlock")
class RepeatBlock(PipelineBlock):
    """Run a pipeline on its own rows again, until each has what it should have.

    After each round the condition is asked of every row. Rows for which it holds are done; the others go through the pipeline
    once more, under ids of their own, so that a model is asked anew. All come out in the order of the input.
    """

    example: ClassVar[Example] = Example(
        config={"flow": "better/flow.yaml", "until": "score >= 4", "max_rounds": 3},
    )

    until: Condition
    """When a row is done: an expression over its columns after the round, such as ``score|int >= 4``."""
    max_rounds: int = Field(ge=1, le=100)
    """How often a row goes through the pipeline at most."""
    unmet: Literal["keep", "reject", "filter"] = "keep"
    """What becomes of rows for which the condition does not hold after the last round."""


class Way(Frozen):
    """One of the branches of a ``BranchBlock``: a pipeline, from a flow file or written in place."""

    when: Condition | None = None
    """Which rows go here: an expression over their columns. The last branch may do without, and takes all rows that are left."""
    name: str | None = Field(default=None, min_length=1)
    """Name of the pipeline; the block's name and a number if not given."""
    flow: str | None = None
    """Path of a flow file."""
    blocks: Sequence[Any] | None = None
    """The blocks, written here."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Values of the parameters of that flow file."""


@block("BranchBlock")
class BranchBlock(StructureBlock):
    """Let each row go through the first branch whose condition holds for it, and bring all together in the order of the input.

    A column that only some branches write is null in the rows of the others. Branches run side by side.
    """

    example: ClassVar[Example] = Example(
        config={"branches": [{"when": "words > 500", "flow": "long/flow.yaml"}, {"flow": "short/flow.yaml"}]},
    )

    branches: tuple[Way, ...]
    """The branches, in the order in which they are asked."""
    rest: Literal["pass", "reject", "filter"] = "pass"
    """What becomes of rows that no branch takes."""
