"""What a flow file says, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.errors import Problem
from sdg_prefect.frozen import Frozen
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint


class Inputs(Frozen):
    """The seeds that a flow needs."""

    required_columns: tuple[str, ...] = ()
    """Columns that the seeds have to have."""
    optional_columns: tuple[str, ...] = ()
    """Columns that the flow uses where they are."""
    min_samples: int = 1
    """Rows at least."""


class RecommendedModels(Frozen):
    """The models that a flow was made for."""

    default: str = Field(min_length=1)
    """The model of blocks that name none."""
    compatible: tuple[str, ...] = ()
    """Others that do well."""
    experimental: tuple[str, ...] = ()
    """Others that may do."""


class About(Frozen):
    """What a flow says of itself, for people who look for one: the ``metadata`` of sdg_hub 0.9."""

    id: str = ""
    """Its id, which stays when its name changes."""
    version: str = ""
    author: str = ""
    license: str = ""
    tags: tuple[str, ...] = ()
    """Words under which it can be found."""
    recommended_models: RecommendedModels | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    """One step as written: a block, or a pipeline, and what is done after it; neither where it could not be read."""

    name: str
    """Name of the block, made unique in its pipeline."""
    place: Place
    block: Block | None = None
    pipeline: PipelineSpec | None = None
    times: int = 1
    """How often it runs, each time on the same rows; results stand one after another."""
    drop_columns: tuple[str, ...] = ()
    drop_duplicates: tuple[str, ...] = ()
    scope: Literal["all", "shard"] = "all"
    """``shard`` gives a global block, and drop_duplicates, upstream's meaning: within a shard only."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of the item's keys, and of the texts in its configuration."""

    def line(self, *words: str) -> int:
        """Return the line of the first of some keys or texts that stands in the item, or of the item."""
        return next((self.lines[word] for word in words if word in self.lines), self.place.line)


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A chain of items."""

    name: str
    items: tuple[Item, ...]
    place: Place
    output_columns: tuple[str, ...] | None = None
    """The columns that a nested pipeline hands on, if it says so."""

    def blocks(self) -> Iterator[tuple[Item, Block]]:
        """Go through all blocks, those of nested pipelines included."""
        for item in self.items:
            if item.block is not None:
                yield item, item.block
            if item.pipeline is not None:
                yield from item.pipeline.blocks()


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A flow file, validated."""

    name: str
    file: str
    pipelines: tuple[PipelineSpec, ...]
    models: Mapping[str, Endpoint] = field(default_factory=dict)
    inputs: Inputs | None = None
    output_columns: tuple[str, ...] | None = None
    """The columns of the output in order; all if not given."""
    keep_inputs: bool = False
    """True where the seeds' columns stay in the output besides ``output_columns`` (0.9's meaning)."""
    max_reject_rate: float = 0.0
    """Share of rejected rows up to which a run counts as completed."""
    budget: Budget | None = None
    """What its calls may cost."""
    description: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of ``inputs`` and ``output_columns``."""
    about: About = field(default_factory=About)
    warnings: tuple[Problem, ...] = ()

    def blocks(self) -> Iterator[tuple[Item, Block]]:
        """Go through all blocks in order."""
        for pipeline in self.pipelines:
            yield from pipeline.blocks()

    def model_ids(self) -> set[str]:
        """Return the models that the flow calls."""
        return {model_id for _, block in self.blocks() for model_id in block.model_ids()}

    def missing_packages(self) -> list[Problem]:
        """Return a problem for each block that needs a package which is not installed."""
        return [
            Problem(
                f"block '{item.name}' needs the package '{module}', which is not installed.",
                f"pip install 'sdg-prefect[{extra}]'",
                item.place.file,
                item.place.line,
            )
            for item, block in self.blocks()
            for module, extra in block.packages.items()
            if find_spec(module) is None
        ]
