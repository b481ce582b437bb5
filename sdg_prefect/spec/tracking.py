"""Columns through a flow: what each block finds, needs and leaves, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sdg_prefect.blocks.base import Block, Columns, Need
from sdg_prefect.errors import Problem, did_you_mean
from sdg_prefect.spec.flow import FlowSpec, Item, PipelineSpec


@dataclass
class Tracking:
    """The outcome: problems, the seeds that are needed, and the columns after each item."""

    problems: list[Problem] = field(default_factory=list)
    seeds: dict[str, Need] = field(default_factory=dict)
    """Columns that the seeds have to have, by name, with the first that needs them."""
    after: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Columns after each item, by the item's identity."""
    output: Columns = Columns()


def track_columns(flow: FlowSpec, seeds: Sequence[str] | None) -> Tracking:
    """Follow the columns from the seeds to the output.

    Args:
        flow: The flow.
        seeds: The columns of the seeds, where they are known; the flow's ``inputs`` otherwise. Where neither is there, a column that
            no block writes is taken to be the seeds'.
    """
    tracking = Tracking()
    declared = flow.inputs
    if seeds is not None:
        for name in declared.required_columns if declared else ():
            if name not in seeds:
                message = f"the seeds have no column '{name}', which the flow requires."
                tracking.problems.append(Problem(message, did_you_mean(name, seeds), flow.file))
        columns = Columns(tuple(seeds))
    elif declared:
        columns = Columns((*declared.required_columns, *declared.optional_columns))
    else:
        columns = Columns((), True)
    first = columns
    for pipeline in flow.pipelines:
        columns = _track_pipeline(tracking, pipeline, columns, seeds_open=seeds is None and declared is None)
    for name in flow.output_columns or ():
        if name not in columns and not columns.open:
            tracking.problems.append(_missing(f"output_columns names '{name}'", name, columns, flow.file, 0))
    tracking.output = _selected(flow, columns, first)
    return tracking


def _selected(flow: FlowSpec, columns: Columns, first: Columns) -> Columns:
    if flow.output_columns is None:
        return columns
    kept = [name for name in first.names if name in columns] if flow.keep_inputs else []
    return Columns(tuple(dict.fromkeys((*kept, *flow.output_columns))), False)


def _track_pipeline(tracking: Tracking, pipeline: PipelineSpec, columns: Columns, *, seeds_open: bool) -> Columns:
    for item in pipeline.items:
        before = columns
        if item.pipeline is not None:
            columns = _track_pipeline(tracking, item.pipeline, columns, seeds_open=seeds_open)
        elif item.block is not None:
            columns = _track_block(tracking, item, item.block, columns, seeds_open)
        columns = _track_keys(tracking, item, columns, before)
        tracking.after[id(item)] = columns.names
    for name in pipeline.output_columns or ():
        if name not in columns and not columns.open:
            message = f"output_columns of '{pipeline.name}' names '{name}'"
            tracking.problems.append(_missing(message, name, columns, pipeline.place.file, pipeline.place.line))
    return columns if pipeline.output_columns is None else Columns(tuple(pipeline.output_columns))


def _track_block(tracking: Tracking, item: Item, block: Block, columns: Columns, seeds_open: bool) -> Columns:
    found: list[str] = []
    for read in block.reads():
        need = read if isinstance(read, Need) else Need(read)
        if need.column in columns or (need.optional and not columns.open):
            continue
        if columns.open:
            if seeds_open and not need.optional and need.column not in tracking.seeds and need.column not in found:
                tracking.seeds[need.column] = Need(need.column, need.file or item.place.file, need.line or item.place.line)
                found.append(need.column)
            continue
        message = f"block '{item.name}' reads the column '{need.column}'"
        place = (need.file, need.line) if need.file else (item.place.file, item.place.line)
        tracking.problems.append(_missing(message, need.column, columns, *place))
    for doubt in block.doubts(columns):
        tracking.problems.append(_warning(item, doubt))
    columns = columns.plus(found)
    return block.columns_after(columns)


def _track_keys(tracking: Tracking, item: Item, columns: Columns, before: Columns) -> Columns:
    """Apply the keys that stand beside a block."""
    for name in item.drop_columns:
        if name not in columns and not columns.open:
            hint = did_you_mean(name, columns.names)
            tracking.problems.append(_warning(item, f"drops the column '{name}', which is not there.", hint))
    columns = columns.minus(item.drop_columns)
    for name in item.drop_duplicates:
        if name in item.drop_columns:
            message = f"block '{item.name}': drop_duplicates names '{name}', which drop_columns has just dropped."
            tracking.problems.append(Problem(message, "", item.place.file, item.place.line))
        elif name not in columns and not columns.open:
            message = f"block '{item.name}': drop_duplicates names '{name}'"
            tracking.problems.append(_missing(message, name, columns, item.place.file, item.place.line))
    if not columns.names and not columns.open and before.names:
        message = f"block '{item.name}' leaves no column at all."
        tracking.problems.append(Problem(message, "", item.place.file, item.place.line))
    return columns


def _missing(what: str, name: str, columns: Columns, file: str, line: int) -> Problem:
    hint = did_you_mean(name, columns.names)
    return Problem(f"{what}, which no block before writes and the seeds do not have.", hint, file, line)


def _warning(item: Item, doubt: str, hint: str = "") -> Problem:
    hint = hint if hint.startswith("Did") else ""
    return Problem(f"block '{item.name}': {doubt}" if not doubt.startswith("drops") else f"block '{item.name}' {doubt}",
                   hint, item.place.file, item.place.line, warning=True)  # fmt: skip
