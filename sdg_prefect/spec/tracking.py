"""Columns through a flow: what each block finds, needs and leaves, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.blocks.lanes import names_needed
from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec, Place, Until


@dataclass
class Tracking:
    """The outcome: problems, the seeds that are needed, and the columns after each item."""

    problems: list[Problem] = field(default_factory=list)
    seeds: dict[str, Need] = field(default_factory=dict)
    """Columns that the seeds have to have, by name, with the first that needs them."""
    after: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Columns after each item, by the item's identity."""
    joined: dict[int, Columns] = field(default_factory=dict)
    """Columns where lanes come together, by the identity of the item that has them."""
    output: Columns = field(default_factory=Columns)


def track_columns(flow: FlowSpec, seeds: Sequence[str] | None) -> Tracking:
    """Follow the columns from the seeds to the output.

    Args:
        flow: The flow. A block that could not be read may leave any column.
        seeds: The columns of the seeds, where they are known; the flow's ``inputs`` otherwise. Where neither is there, a column
            that no block writes is taken to be the seeds'.
    """
    declared = flow.inputs
    if seeds is not None:
        first, source = Columns(tuple(seeds)), "the seeds do not have"
    elif declared:
        first, source = Columns((*declared.required_columns, *declared.optional_columns)), "'inputs' does not name"
    else:
        first, source = Columns((), True), ""
    tracker = _Tracker(Tracking(), first, source)
    for name in declared.required_columns if declared and seeds is not None else ():
        if name not in first:
            message = f"the seeds have no column '{name}', which the flow requires."
            tracker.report(message, Place(flow.file, flow.lines.get("inputs", 0)), did_you_mean(name, first.names))
    for pipeline in flow.pipelines:
        tracker.pipeline(pipeline)
    place = Place(flow.file, flow.lines.get("output_columns", 0))
    for name in flow.output_columns or ():
        tracker.require(name, f"output_columns names '{name}'", place)
    tracker.columns = tracker.tracking.output = _selected(flow, tracker.columns, first)
    for kind, gate in flow.expect.gates():
        for name in gate.reads():
            tracker.require(name, f"'expect' looks at the column '{name}'", Place(flow.file, flow.lines.get(f"expect.{kind}", 0)))
    return tracker.tracking


def _selected(flow: FlowSpec, columns: Columns, first: Columns) -> Columns:
    if flow.output_columns is None:
        return columns
    kept = [name for name in first.names if name in columns] if flow.keep_inputs else []
    return Columns(tuple(dict.fromkeys((*kept, *flow.output_columns))), False)


@dataclass
class _Tracker:
    """Walks a flow."""

    tracking: Tracking
    columns: Columns
    """The columns where the walk is."""
    source: str
    """How to say that a column is not among the first; empty where nothing is known of those."""
    gone: dict[str, str] = field(default_factory=dict)
    """Columns that were there, and the item after which they were not."""

    def report(self, message: str, place: Place, hint: str = "", *, warning: bool = False) -> None:
        self.tracking.problems.append(Problem(message, hint, place.file, place.line, warning))

    def require(self, name: str, what: str, place: Place) -> None:
        """Report a column that is not there."""
        if name in self.columns or self.columns.open:
            return
        if name in self.gone:
            self.report(f"{what}, which is gone after block '{self.gone[name]}'.", place)
        else:
            hint = did_you_mean(name, self.columns.names)
            self.report(f"{what}, which no block before writes and {self.source}.", place, hint)

    def pipeline(self, pipeline: PipelineSpec) -> None:
        for item in pipeline.items:
            before = self.columns
            self.conditions(item, [item.when] if item.when else [], "when:")
            before = before.plus(name for name in self.columns.names if name not in before)
            if item.pipeline is not None:
                self.pipeline(item.pipeline)
                if item.until is not None:
                    self.again(item, item.pipeline, item.until)
            elif item.branches:
                self.branches(item)
            elif item.block is not None:
                self.block(item, item.block)
            else:
                self.columns = Columns(before.names, True)
            if item.when:
                self.passed_by(item, before)
            self.tracking.joined[id(item)] = self.columns
            self.keys(item, before)
            self.gone.update({name: item.name for name in before.names if name not in self.columns and not item.pipelines})
            self.tracking.after[id(item)] = self.columns.names
        for name in pipeline.output_columns or ():
            self.require(name, f"output_columns of '{pipeline.name}' names '{name}'", pipeline.place)
        if pipeline.output_columns is not None:
            self.gone.update({name: pipeline.name for name in self.columns.names if name not in pipeline.output_columns})
            self.columns = Columns(tuple(pipeline.output_columns))

    def block(self, item: Item, block: Block) -> None:
        for read in block.reads():
            need = read if isinstance(read, Need) else Need(read)
            place = Place(need.file, need.line) if need.file else Place(item.place.file, item.line(need.column))
            self.need(need, f"block '{item.name}' reads the column '{need.column}'", place)
        for doubt in block.doubts(self.columns):
            self.report(f"block '{item.name}': {doubt}", item.place, warning=True)
        self.columns = block.columns_after(self.columns)

    def need(self, need: Need, what: str, place: Place) -> None:
        """See that a column is there; where nothing is known of the seeds, it is taken to be theirs."""
        if need.optional or need.column in self.columns:
            return
        if not self.columns.open:
            self.require(need.column, what, place)
        elif not self.source and need.column not in self.tracking.seeds and need.column not in self.gone:
            self.tracking.seeds[need.column] = Need(need.column, place.file, place.line)
            self.columns = self.columns.plus([need.column])

    def conditions(self, item: Item, conditions: Sequence[str], *keys: str) -> None:
        """See that the columns are there which conditions look at."""
        place = Place(item.place.file, item.line(*keys))
        for need in names_needed(conditions):
            self.need(need, f"block '{item.name}': '{keys[0].rstrip(':')}' looks at the column '{need.column}'", place)

    def again(self, item: Item, pipeline: PipelineSpec, until: Until) -> None:
        """Look at what a repetition needs after its first round: for its condition, and to begin anew."""
        self.conditions(item, [until.condition], "until")
        if until.most > 1:
            known = len(self.tracking.problems)
            self.pipeline(pipeline)
            first, second = self.tracking.problems[:known], self.tracking.problems[known:]
            self.tracking.problems = first + [one for one in second if not one.warning and one not in first]

    def branches(self, item: Item) -> None:
        """Follow each branch from where the rows part; afterwards there is every column that some row has."""
        self.conditions(item, [branch.when for branch in item.branches], "when")
        before, ends, gone = self.columns, list[Columns](), dict(self.gone)
        for branch in item.branches:
            self.columns, self.gone = before, dict(gone)
            self.pipeline(branch.pipeline)
            ends.append(self.columns)
        if item.rest == "pass" and item.branches[-1].when != "true":
            ends.append(before)
        there = {name for end in ends for name in end.names}
        kept = [name for name in before.names if name in there]
        self.columns = Columns(tuple(kept), any(end.open for end in ends)).plus(name for end in ends for name in end.names)
        self.gone = {name: item.name for name in before.names if name not in there} | gone

    def passed_by(self, item: Item, before: Columns) -> None:
        """Add the columns of rows that pass by an item: they have what was there before it."""
        after = self.columns
        if lost := [name for name in before.names if name not in after and not after.open]:
            message = f"block '{item.name}' takes away {', '.join(map(repr, lost))} where 'when' holds; other rows keep it."
            self.report(message, Place(item.place.file, item.line("when:")), warning=True)
        self.columns = Columns(before.names, after.open).plus(after.names)

    def keys(self, item: Item, before: Columns) -> None:
        """Apply the keys that stand beside a block."""
        for name in item.drop_columns:
            if name not in self.columns and not self.columns.open:
                near = did_you_mean(name, self.columns.names)
                place = Place(item.place.file, item.line("drop_columns:"))
                message = f"block '{item.name}' drops the column '{name}', which is not there."
                self.report(message, place, near if near.startswith("Did") else "", warning=True)
        self.gone.update({name: item.name for name in item.drop_columns if name in self.columns})
        self.columns = self.columns.minus(item.drop_columns)
        place = Place(item.place.file, item.line("drop_duplicates:"))
        for name in item.drop_duplicates:
            what = f"block '{item.name}': drop_duplicates names '{name}'"
            if name in item.drop_columns:
                self.report(f"{what}, which drop_columns has just dropped.", place)
            else:
                self.require(name, what, place)
        for _, gate in item.expect.gates():
            for name in gate.reads():
                place = Place(item.place.file, item.line("expect:"))
                self.require(name, f"block '{item.name}': 'expect' looks at the column '{name}'", place)
        if not self.columns.names and not self.columns.open and before.names:
            self.report(f"block '{item.name}' leaves no column at all.", Place(item.place.file, item.line("drop_columns:")))
