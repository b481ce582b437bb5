"""The walk over a plan before the run: what the store holds, what the ledger answers, what is left to ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from sdg_prefect.blocks.review import ReviewBlock
from sdg_prefect.engine.budgeting import spent_by_runs
from sdg_prefect.engine.deciding import decided, known_decision
from sdg_prefect.engine.estimating import Estimator
from sdg_prefect.engine.foreseeing import fork, repeat
from sdg_prefect.engine.glance import Glance
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.history import History
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outlook import Outlook, StepOutlook
from sdg_prefect.engine.piece import Piece, known, pieces_of
from sdg_prefect.engine.rates import Sample, calls_before, calls_bounds, rate, rows_before, rows_bounds
from sdg_prefect.engine.rehearsal import Unasked, rehearse
from sdg_prefect.frozen import digest
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Plan, Repeat, Step
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.rows import concat
from sdg_prefect.settings import settings
from sdg_prefect.spec.target import Target
from sdg_prefect.store.checkpoints import BrokenRecord, Checkpoint, checkpoint_folder, is_usable, read_record
from sdg_prefect.store.columns import together
from sdg_prefect.store.integrity import Damaged
from sdg_prefect.store.ledger.completions import ReadLedger, open_ledger
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 200
"""Rows whose prompts are written to count them where the ledger has nothing, and replies that averages are taken of."""


def look_ahead(plan: Plan, options: RunOptions, warnings: list[str] | None = None) -> Outlook:
    """Walk a plan through the store and the ledger without running anything or calling a model.

    Args:
        plan: What to look at.
        options: How it would be run.
        warnings: Gets what the user should know of the seeds.
    """
    from sdg_prefect.engine.seeding import read_input

    root = Root.chosen(options.storage)
    seeds = read_input(options, in_store=False, warnings=warnings)
    sizes, history, assumed = plan.sizes(options.shard_size), History(root, plan.name), ""
    if plan.target is not None:
        seeds, assumed = _counted_on(plan.target, seeds, history.rows_per_candidate)
    outlook = Outlook(seeds.num_rows, sizes.of(seeds.num_rows), assumed)
    if plan.budget is not None:
        outlook.budget, outlook.spent = plan.budget, spent_by_runs(root, plan.name)
    look = Look(
        root, plan, sizes, outlook, history, Estimator(plan.endpoints, options.concurrency or settings().concurrency, history)
    )
    pieces = pieces_of(seeds, outlook.shard_size)
    for pipeline in plan.pipelines:
        pieces = look.pipeline(pipeline, pieces)
    return outlook


def _counted_on(target: Target, seeds: pa.Table, rate: float | None) -> tuple[pa.Table, str]:
    """Return the candidates that a target will probably take, and say what that rests on."""
    wanted = min(target.candidates, ceil(target.rows / (rate or 1.0)))
    why = "as many rows a candidate as in the last run" if rate else "a row for each candidate"
    from sdg_prefect.engine.seeding import candidates

    return candidates(seeds, 0, wanted), f"for {target.rows:,} rows, with {why}; at most {target.candidates:,}"


@dataclass(frozen=True, slots=True)
class Look:
    """Goes through a plan as a run would."""

    root: Root
    plan: Plan
    sizes: Sizes
    outlook: Outlook
    history: History
    estimator: Estimator

    def pipeline(self, plan: PipelinePlan, pieces: list[Piece]) -> list[Piece]:
        made: list[Piece] = []
        for number in range(plan.times):
            given = pieces if plan.times == 1 else [piece.in_round(number) for piece in pieces]
            for step in plan.steps:
                given = self._node(step, given)
            made += given
        return made

    def _node(self, node: Node, pieces: list[Piece]) -> list[Piece]:
        if isinstance(node, PipelinePlan):
            return self.pipeline(node, pieces)
        if isinstance(node, Fork):
            return fork(self, node, pieces)
        if isinstance(node, Repeat):
            return repeat(self, node, pieces)
        return self.step(node, pieces)

    def step(self, step: Step, pieces: list[Piece]) -> list[Piece]:
        found = StepOutlook(step.name)
        self.outlook.steps.append(found)
        ledger = self._ledger(step)
        glances: list[tuple[int, Glance]] = []
        for number in range(step.times):
            given = pieces if step.times == 1 else [piece.in_round(number) for piece in pieces]
            groups = [given] if step.scope == "all" else [[piece] for piece in given]
            glances += [(group[0].home, self._group(step, group, found, ledger)) for group in groups]
        if found.shards_there < found.shards or not found.shards:
            found.why = self.history.why_not(step)
        rows_each = self._ask(step, [glance for _, glance in glances], found, ledger)
        by_part: dict[int, list[Piece]] = {}
        for home, glance in glances:
            for place, part in enumerate(glance.pieces(rows_each)):
                by_part.setdefault(place, []).append(replace(part, home=home))
        return [piece for place in sorted(by_part) for piece in by_part[place]]

    def _ask(self, step: Step, glances: Sequence[Glance], found: StepOutlook, ledger: ReadLedger | None) -> Guess:
        """Count what is left to ask, and guess how many rows one of those gives whose output is not known."""
        waiting = sum((glance.waiting for glance in glances), Guess())
        still_open = sum((glance.asking for glance in glances), waiting)
        seen_rows = sum((glance.rows for glance in glances), Sample())
        seen_calls = sum((glance.calls for glance in glances), Sample())
        rows_each = rate([seen_rows, rows_before(self.history, step)], rows_bounds(step), still_open)
        if still_open.high != 0 and rows_each.high is None:
            self.outlook.unknown.append(step.name)
        if step.models:
            calls_each = rate([seen_calls, calls_before(self.history, step)], calls_bounds(step), waiting)
            if waiting.high != 0 and calls_each.high is None:
                self.outlook.unknown.append(step.name)
            found.calls += waiting.times(calls_each)
            replies = ledger.sample(_SAMPLE) if ledger is not None else []
            unasked = sum((glance.unasked for glance in glances), Unasked())
            notes = self.estimator.fill(found, step, unasked, replies)
            self.outlook.notes += [note for note in notes if note not in self.outlook.notes]
        return rows_each

    def _ledger(self, step: Step) -> ReadLedger | None:
        is_there = bool(step.ledger_key) and self.root.exists("ledger", step.ledger_key)
        return open_ledger(self.root, step.ledger_key) if is_there else None

    def _group(self, step: Step, group: list[Piece], found: StepOutlook, ledger: ReadLedger | None) -> Glance:
        """Look at what one task run would do."""
        refs = [piece.ref for piece in group if piece.ref is not None]
        found.shards += 1
        is_known = len(refs) == len(group)
        if is_known and isinstance(step.block, ReviewBlock):
            step = self._decided(step, group)
        checkpoint = _recorded(self.root, step, refs) if is_known else None
        if checkpoint is not None:
            found.shards_there += 1
            parts = tuple(Piece(ref, None) for ref in checkpoint.parts)
            came, given = (sum(piece.rows.low for piece in pieces) for pieces in (parts, group))
            return Glance(parts, rows=Sample(given, came))
        rows = sum((piece.rows for piece in group), Guess())
        found.rows += rows
        table = self.load(group)
        if table is None or not step.is_known:
            return Glance(waiting=rows)
        content = digest(tuple(ref.content for ref in refs)) if is_known else ""
        still_open = sum((piece.open_rows for piece in group), Guess())
        return self._rehearse(step, table, content, still_open, found, ledger)

    def _decided(self, step: Step, group: list[Piece]) -> Step:
        """Return a review that knows what was decided about its rows; without a decision all are taken to pass."""
        table = self.load(group)
        decision = known_decision(self.root, step, table) if table is not None else None
        return step if decision is None else decided(step, decision)

    def load(self, group: list[Piece]) -> pa.Table | None:
        """Return the rows that are known; none where their data is damaged, which a run mends and a plan leaves alone."""
        try:
            tables = [table for piece in group if (table := piece.load(self.root)) is not None]
        except Damaged:
            return None
        return together(tables) if tables else None

    def _rehearse(
        self, step: Step, table: pa.Table, content: str, still_open: Guess, found: StepOutlook, ledger: ReadLedger | None
    ) -> Glance:
        asks = bool(step.models)
        # Without a ledger nothing can come out but the count of calls, for which some rows are enough.
        shown = table.slice(0, _SAMPLE) if asks and ledger is None else table
        done = rehearse(step, shown, content, self.plan.endpoints, ledger)
        if done is None:
            return Glance(waiting=Guess.exactly(table.num_rows) + still_open)
        share = table.num_rows / max(1, shown.num_rows)
        found.replayed += done.replayed
        found.calls += Guess.exactly(round(done.unasked.calls * share))
        glance = Glance(
            waiting=still_open,
            asking=Guess.exactly(round(done.rows_open * share)),
            unasked=done.unasked,
            rows=Sample(shown.num_rows - done.rows_open, sum(part.num_rows for part in done.parts)),
            calls=Sample(shown.num_rows, done.replayed + done.unasked.calls) if asks else Sample(),
        )
        if still_open.high == 0 and done.rows_open == 0:
            return replace(glance, parts=tuple(piece for part in done.parts for piece in self.cut(step, part)))
        return replace(glance, table=concat(list(done.parts)))

    def cut(self, step: Step, part: pa.Table) -> list[Piece]:
        """Cut what a step gives into shards, if it waits for all rows."""
        return pieces_of(part, self.sizes.of(part.num_rows)) if step.scope == "all" else [known(part)]


def _recorded(root: Root, step: Step, refs: Sequence[DatasetRef]) -> Checkpoint | None:
    """Read the record of a checkpoint, if it is there and usable."""
    folder = checkpoint_folder(step.key, step.checkpoint_key(tuple(ref.content for ref in refs)))
    try:
        checkpoint = read_record(root, folder)
    except BrokenRecord:
        return None
    return checkpoint if checkpoint is not None and is_usable(root, checkpoint, "") else None
