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
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.history import History
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outlook import Outlook, StepOutlook
from sdg_prefect.engine.piece import Piece, known, pieces_of
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


def look_ahead(plan: Plan, options: RunOptions) -> Outlook:
    """Walk a plan through the store and the ledger without running anything or calling a model."""
    from sdg_prefect.engine.seeding import read_input

    root = Root.chosen(options.storage)
    seeds = read_input(options, in_store=False)
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
        unasked, made = Unasked(), list[Piece]()
        for number in range(step.times):
            given = pieces if step.times == 1 else [piece.in_round(number) for piece in pieces]
            by_part: dict[int, list[Piece]] = {}
            for group in [given] if step.scope == "all" else [[piece] for piece in given]:
                parts, added = self._group(step, group, found, ledger)
                unasked += added
                for place, part in enumerate(parts):
                    by_part.setdefault(place, []).append(replace(part, home=group[0].home))
            made += [piece for place in sorted(by_part) for piece in by_part[place]]
        if found.shards_there < found.shards or not found.shards:
            found.why = self.history.why_not(step)
        if step.models:
            replies = ledger.sample(_SAMPLE) if ledger is not None else []
            notes = self.estimator.fill(found, step, unasked, replies)
            self.outlook.notes += [note for note in notes if note not in self.outlook.notes]
        return made

    def _ledger(self, step: Step) -> ReadLedger | None:
        is_there = bool(step.ledger_key) and self.root.exists("ledger", step.ledger_key)
        return open_ledger(self.root, step.ledger_key) if is_there else None

    def _group(
        self, step: Step, group: list[Piece], found: StepOutlook, ledger: ReadLedger | None
    ) -> tuple[list[Piece], Unasked]:
        """Look at what one task run would do."""
        refs = [piece.ref for piece in group if piece.ref is not None]
        found.shards += 1
        is_known = len(refs) == len(group)
        if is_known and isinstance(step.block, ReviewBlock):
            step = self._decided(step, group)
        checkpoint = _recorded(self.root, step, refs) if is_known else None
        if checkpoint is not None:
            found.shards_there += 1
            return [Piece(ref, None) for ref in checkpoint.parts], Unasked()
        rows = sum((piece.rows for piece in group), Guess())
        found.rows += rows
        table = self.load(group)
        still_open = sum((piece.open_rows for piece in group), Guess())
        if table is None or not step.is_known:
            found.calls += rows.times(_calls_per_row(step))
            return [Piece(None, None, rows.times(self._yield(step)))], Unasked()
        content = digest(tuple(ref.content for ref in refs)) if is_known else ""
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
    ) -> tuple[list[Piece], Unasked]:
        asks = bool(step.models)
        # Without a ledger nothing can come out but the count of calls, for which some rows are enough.
        shown = table.slice(0, _SAMPLE) if asks and ledger is None else table
        done = rehearse(step, shown, content, self.plan.endpoints, ledger)
        per_row = _calls_per_row(step)
        if done is None:
            rows = Guess.exactly(table.num_rows) + still_open
            found.calls += rows.times(per_row)
            return [Piece(None, None, rows.times(self._yield(step)))], Unasked()
        share = table.num_rows / max(1, shown.num_rows)
        found.replayed += done.replayed
        found.calls += Guess.exactly(round(done.unasked.calls * share)) + still_open.times(per_row)
        open_rows = (Guess.exactly(round(done.rows_open * share)) + still_open).times(self._yield(step))
        if open_rows.high == 0:
            return [piece for part in done.parts for piece in self.cut(step, part)], done.unasked
        return [Piece(None, concat(list(done.parts)), open_rows)], done.unasked

    def cut(self, step: Step, part: pa.Table) -> list[Piece]:
        """Cut what a step gives into shards, if it waits for all rows."""
        return pieces_of(part, self.sizes.of(part.num_rows)) if step.scope == "all" else [known(part)]

    def _yield(self, step: Step) -> Guess:
        """Guess how many rows one row gives."""
        block = step.block
        earlier = self.history.block(step.label, "rows_in")
        likely = earlier["rows_out"] / earlier["rows_in"] if earlier else 1.0
        if not block.makes_rows and not block.model_ids():
            return Guess.exactly(1) if block.leaves_out == "nothing" else Guess(0, min(1.0, likely), 1)
        return Guess(0, likely, None)


def _calls_per_row(step: Step) -> Guess:
    calls = step.block.calls_per_row()
    return Guess(0, calls, calls) if step.when else Guess.exactly(calls)


def _recorded(root: Root, step: Step, refs: Sequence[DatasetRef]) -> Checkpoint | None:
    """Read the record of a checkpoint, if it is there and usable."""
    folder = checkpoint_folder(step.key, step.checkpoint_key(tuple(ref.content for ref in refs)))
    try:
        checkpoint = read_record(root, folder)
    except BrokenRecord:
        return None
    return checkpoint if checkpoint is not None and is_usable(root, checkpoint, "") else None
