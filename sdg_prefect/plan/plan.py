"""The compiled flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from sdg_prefect.blocks.base import Block
from sdg_prefect.errors import Problem
from sdg_prefect.frozen import digest
from sdg_prefect.models.budget import Budget
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.report.expectations import NOTHING, Expectations
from sdg_prefect.spec.target import Target


@dataclass(frozen=True, slots=True)
class Step:
    """One block where it stands: a task run for each shard."""

    name: str
    """Name of its task runs."""
    label: str
    """Name in the report, which no other step has."""
    block: Block
    key: str
    """Hash of what the step does: the block's key and what is done after it."""
    ledger_key: str
    """Where its completions are kept; empty for a block that calls no model."""
    scope: Literal["row", "all"]
    """``row`` steps stream shard by shard; an ``all`` step waits for every row."""
    times: int = 1
    when: str = ""
    """The condition of the rows that the block works on; the others pass by. Empty for all rows."""
    drop_columns: tuple[str, ...] = ()
    keep_columns: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    """Columns after the step, as far as they are known."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Hashes of what the key is made of, by names that people know: says later why earlier work does not fit."""
    decision: str = ""
    """Hash of what a person decided about the rows, where the step waits for that."""
    expect: Expectations = NOTHING
    """What is expected of its rows. No part of its key."""

    @property
    def models(self) -> tuple[str, ...]:
        """The model ids that the step calls."""
        return tuple(self.block.model_ids())

    @property
    def is_known(self) -> bool:
        """True for a block of this package, which does nothing but what it says; a user's own may do anything."""
        return not self.block.is_opaque and not self.block.source_key()

    def walk(self) -> Iterator[Step]:
        """Give itself, as all parts of a plan give their steps."""
        yield self

    def checkpoint_key(self, contents: tuple[str, ...]) -> str:
        """Return the key of the step's checkpoint for input shards of these contents."""
        return digest(self.key, contents, self.decision) if self.decision else digest(self.key, contents)


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """A pipeline: a Prefect subflow."""

    name: str
    steps: tuple[Node, ...]
    times: int = 1

    def walk(self) -> Iterator[Step]:
        """Go through all steps, those of nested pipelines included."""
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True, slots=True)
class Fork:
    """Branches: rows part, each goes one way, and they come together again."""

    name: str
    split: Step
    """Parts the rows into a lane for each branch, and one for those that pass by."""
    branches: tuple[PipelinePlan, ...]
    join: Step

    def walk(self) -> Iterator[Step]:
        """Go through all steps, those of the branches included."""
        yield self.split
        for branch in self.branches:
            yield from branch.walk()
        yield self.join


@dataclass(frozen=True, slots=True)
class Repeat:
    """A pipeline that rows pass again and again, each until its condition holds for it."""

    name: str
    body: PipelinePlan
    until: str
    most: int
    """Rounds at most, two or more."""
    split: Step
    """After each round but the last: a lane for the rows that go on, and one for those that are done."""
    unmet: Step | None
    """What is done with the rows that are left after the last round."""
    join: Step

    def walk(self) -> Iterator[Step]:
        """Go through all steps, those of the pipeline once."""
        yield from self.body.walk()
        yield self.split
        if self.unmet is not None:
            yield self.unmet
        yield self.join


Node: TypeAlias = Step | PipelinePlan | Fork | Repeat
"""A part of a pipeline."""


def is_row_local(node: Node) -> bool:
    """True if no step in it waits for all rows, so that each shard can go through it on its own."""
    return all(step.scope == "row" for step in node.walk())


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do, decided before it starts."""

    name: str
    file: str
    pipelines: tuple[PipelinePlan, ...]
    endpoints: Mapping[str, Endpoint]
    """Where each model id is served."""
    output_columns: tuple[str, ...] | None
    max_reject_rate: float
    budget: Budget | None = None
    """What all runs of the flow on one store may cost."""
    target: Target | None = None
    """How many rows are wanted, where that is said."""
    warnings: tuple[Problem, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The values of the flow's parameters."""
    expect: Expectations = NOTHING
    """What is expected of the rows of the output."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the flow says of itself: ``description``, ``author``, ``license``, ``version``, ``tags``."""

    def steps(self) -> list[Step]:
        """Return all steps in order."""
        return [step for pipeline in self.pipelines for step in pipeline.walk()]

    def shared_limits(self) -> list[str]:
        """Return the names of the limits that its calls share with other runs."""
        places = [place for endpoint in self.endpoints.values() if not endpoint.in_batches for place in endpoint.places]
        return sorted({place.shared_limit for place in places if place.shared_limit})

    def sizes(self, fixed: int | None) -> Sizes:
        """Say how large the shards are.

        Args:
            fixed: The rows of each, where the user says so.
        """
        steps = self.steps()
        in_batches = any(endpoint.in_batches for endpoint in self.endpoints.values())
        sizes = Sizes(fixed, len(steps), all(step.is_known and not step.models for step in steps), in_batches)
        if self.target is None or fixed:
            return sizes
        # One size for all waves, so that what one has done fits to the next.
        return replace(sizes, fixed=max(sizes.of(self.target.rows), sizes.least(self.target.candidates)))

    def labels(self) -> list[str]:
        """Return the names of the blocks as the report lists them."""
        return list(dict.fromkeys(step.label for step in self.steps()))

    def uses(self) -> dict[str, Any]:
        """Return the keys of all steps and what they are made of, as a JSON object."""
        steps = [
            {
                "name": step.name,
                "type": step.block.type_name,
                "key": step.key,
                "ledger_key": step.ledger_key,
                "parts": dict(step.parts),
            }
            for step in self.steps()
        ]
        return {"flow": self.name, "file": self.file, "steps": steps}

    def __str__(self) -> str:
        from sdg_prefect.plan.printing import plan_text

        return plan_text(self)
