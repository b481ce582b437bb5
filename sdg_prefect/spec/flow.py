"""What a flow file says, as values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.errors import Problem
from sdg_prefect.frozen import Frozen
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.report.expectations import NOTHING, Expectations

if TYPE_CHECKING:
    from sdg_prefect.spec.parameter import Parameter
    from sdg_prefect.spec.target import Target


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
class Until:
    """How long a pipeline is repeated, for each row."""

    condition: str
    """Asked of each row after each round."""
    most: int
    """Rounds at most."""
    unmet: Literal["keep", "reject", "filter"] = "keep"
    """What becomes of rows for which it does not hold after the last round."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One of several ways for rows."""

    when: str
    """The condition of the rows that go here, if no branch before takes them."""
    pipeline: PipelineSpec


@dataclass(frozen=True, slots=True)
class Item:
    """One step as written: a block, a pipeline or branches, and what is done after it; nothing where it could not be read."""

    name: str
    """Name of the block, made unique in its pipeline."""
    place: Place
    block: Block | None = None
    pipeline: PipelineSpec | None = None
    times: int = 1
    """How often it runs, each time on the same rows; results stand one after another."""
    until: Until | None = None
    """How long the pipeline is repeated on its own rows, if it is."""
    branches: tuple[Branch, ...] = ()
    rest: Literal["pass", "reject", "filter"] = "pass"
    """What becomes of rows that no branch takes."""
    when: str = ""
    """The condition of the rows that it works on; the others pass by. Empty for all rows."""
    drop_columns: tuple[str, ...] = ()
    drop_duplicates: tuple[str, ...] = ()
    scope: Literal["all", "shard"] = "all"
    """``shard`` gives a global block, and drop_duplicates, upstream's meaning: within a shard only."""
    expect: Expectations = NOTHING
    """What is expected of the rows after it."""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of the item's keys, and of the texts in its configuration."""

    @property
    def pipelines(self) -> tuple[PipelineSpec, ...]:
        """The pipelines in it."""
        return (self.pipeline,) if self.pipeline is not None else tuple(branch.pipeline for branch in self.branches)

    @property
    def is_labelled(self) -> bool:
        """True if steps of the plan are named after it."""
        return self.block is not None or self.until is not None or bool(self.branches or self.when)

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
        for item in self.all_items():
            if item.block is not None:
                yield item, item.block

    def all_items(self) -> Iterator[Item]:
        """Go through all items, those of nested pipelines included."""
        for item in self.items:
            yield item
            for pipeline in item.pipelines:
                yield from pipeline.all_items()


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
    expect: Expectations = NOTHING
    """What is expected of the rows of the output."""
    target: Target | None = None
    """How many rows are wanted, where that is said."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    """What it leaves open."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values of the parameters."""
    description: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    """Lines of ``inputs`` and ``output_columns``, and of the gates of ``expect``."""
    about: About = field(default_factory=About)
    warnings: tuple[Problem, ...] = ()

    def blocks(self) -> Iterator[tuple[Item, Block]]:
        """Go through all blocks in order."""
        for pipeline in self.pipelines:
            yield from pipeline.blocks()

    def items(self) -> Iterator[Item]:
        """Go through all items in order."""
        for pipeline in self.pipelines:
            yield from pipeline.all_items()

    def model_ids(self) -> set[str]:
        """Return the models that the flow calls."""
        return {model_id for _, block in self.blocks() for model_id in block.model_ids()}

    def missing_packages(self) -> list[Problem]:
        """Return a problem for each block that needs a package which is not installed."""
        return [
            Problem(
                f"block '{item.name}' needs the package '{module}', which is not installed.",
                how if " " in how else f"pip install 'sdg-prefect[{how}]'",
                item.place.file,
                item.place.line,
            )
            for item, block in self.blocks()
            for module, how in block.needed_packages().items()
            if find_spec(module) is None
        ]
