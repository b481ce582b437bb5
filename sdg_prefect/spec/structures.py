"""Items that are made of items: pipelines in pipelines, repetitions, branches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sdg_prefect.blocks.structure import BranchBlock, PipelineBlock, RepeatBlock, StructureBlock
from sdg_prefect.spec.flow import Branch, Item, Place, Until
from sdg_prefect.spec.positions import Path

if TYPE_CHECKING:
    from sdg_prefect.spec.file_reader import FileReader


def read_structure(reader: FileReader, block: StructureBlock, place: Place, within: Path) -> Item:
    """Read the pipelines of a block that is made of them; what is wrong is reported to the reader.

    Args:
        reader: Reads the file.
        block: The block.
        place: Where it stands.
        within: Where its configuration stands.
    """
    name = block.block_name
    if isinstance(block, BranchBlock):
        return Item(name, place, branches=_branches(reader, block, within), rest=block.rest)
    assert isinstance(block, PipelineBlock)
    what = f"block '{name}': a {block.type_name}"
    pipeline = reader.inner_pipeline(what, name, block, within)
    until = Until(block.until, block.max_rounds, block.unmet) if isinstance(block, RepeatBlock) else None
    return Item(name, place, pipeline=pipeline, until=until)


def _branches(reader: FileReader, block: BranchBlock, within: Path) -> tuple[Branch, ...]:
    found = []
    last = len(block.branches) - 1
    if not block.branches:
        reader.report(f"block '{block.block_name}': 'branches' must not be empty.", "", *within, "branches")
    for number, way in enumerate(block.branches):
        path = (*within, "branches", number)
        if way.when is None and number != last:
            message = f"block '{block.block_name}': a branch without 'when' takes all rows, so none are left for those after it."
            reader.report(message, "Only the last one may do without.", *path)
        name = way.name or f"{block.block_name} · {number + 1}"
        pipeline = reader.inner_pipeline(f"block '{block.block_name}': a branch", name, way, path)
        found.append(Branch(way.when or "true", pipeline))
    return tuple(found)
