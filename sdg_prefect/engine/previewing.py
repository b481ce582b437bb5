"""A few rows through a flow, without Prefect: what each block asks, what comes back, and what it makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks.lanes import LaneBlock
from sdg_prefect.counts import Counts
from sdg_prefect.engine.asking import Asking, from_thread
from sdg_prefect.engine.context import ShardContext
from sdg_prefect.engine.doing import do
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.loops import run_on_loop
from sdg_prefect.engine.opening import open_live
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.plan.plan import Fork, Node, PipelinePlan, Plan, Repeat, Step
from sdg_prefect.report.progress import Silent
from sdg_prefect.report.wording import said
from sdg_prefect.rows import ROW_ID, concat, ids_of, in_round, is_reserved
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.columns import together
from sdg_prefect.store.lineage import children_of
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class StepPreview:
    """What one block did with the rows."""

    step: Step
    before: pa.Table
    """Its input, with row ids."""
    after: pa.Table
    """Its output, with row ids."""
    exchanges: Sequence[tuple[Request, Completion | Failure]]
    """What it asked, and the answers."""
    rejects: Sequence[Reject]
    counts: Counts


@dataclass(slots=True)
class Preview:
    """What each block did, in the order in which the rows passed them."""

    flow: str
    """Name of the flow."""
    table: pa.Table
    """The rows at the end, with ids."""
    steps: list[StepPreview] = field(default_factory=list)

    @property
    def counts(self) -> Counts:
        """What all blocks did together."""
        return sum((step.counts for step in self.steps), Counts())


def preview(plan: Plan, options: RunOptions, seeds: pa.Table, run_id: str) -> Preview:
    """Take seeds through a flow. Completions are kept in the ledger, where a run on the same store finds them.

    Models that a run asks in batches are called, at the price of calls: nobody waits a day for a few rows.

    Args:
        plan: The flow.
        options: Where the models and the store are.
        seeds: A few rows, with ids; all of them go through each block at once.
        run_id: Names what is written to the ledger.

    Raises:
        SdgError: A block failed, or an endpoint cannot serve.
    """
    return run_on_loop(_preview(_by_calls(plan), options, seeds, run_id))


def asked_in_batches(plan: Plan) -> list[str]:
    """Return the models that a run asks in batches, and a preview by calls."""
    return [model_id for model_id, endpoint in sorted(plan.endpoints.items()) if endpoint.in_batches]


def _by_calls(plan: Plan) -> Plan:
    """Let a plan call its models at once, and share no limit, for which Prefect's server would have to be asked."""
    alone = {name: one.everywhere(lambda _: {"shared_limit": None}) for name, one in plan.endpoints.items()}
    return replace(plan, endpoints={name: one.model_copy(update={"mode": "calls"}) for name, one in alone.items()})


async def _preview(plan: Plan, options: RunOptions, seeds: pa.Table, run_id: str) -> Preview:
    async with AsyncExitStack() as stack:
        live = await open_live(plan, options, Root.chosen(options.storage), run_id, Silent(), None, stack)
        walk = _Walk(live, Preview(plan.name, seeds))
        try:
            await live.loop.run_in_executor(live.threads, walk.through, plan)
        finally:
            await live.close()
    return walk.preview


class _Heard(ShardContext):
    """A context that remembers what the block asks."""

    def __init__(self, live: Live, step: Step, table: pa.Table) -> None:
        super().__init__(step, table, from_thread(Asking(live, step, fingerprint(table)), live.loop))
        self.exchanges: list[tuple[Request, Completion | Failure]] = []

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        answers = super().complete(requests)
        self.exchanges += zip(requests, answers, strict=True)
        return answers


@dataclass(frozen=True, slots=True)
class _Walk:
    live: Live
    preview: Preview

    def through(self, plan: Plan) -> None:
        table = self.preview.table
        for pipeline in plan.pipelines:
            table = self._pipeline(pipeline, table)
        if plan.output_columns is not None:
            table = table.select([table.column_names[0], *(name for name in plan.output_columns if name in table.column_names)])
        self.preview.table = table

    def _pipeline(self, plan: PipelinePlan, table: pa.Table) -> pa.Table:
        made = []
        for given in _rounds(table, plan.times):
            rows = given
            for step in plan.steps:
                rows = self._node(step, rows)
            made.append(rows)
        return concat(made)

    def _node(self, node: Node, table: pa.Table) -> pa.Table:
        if isinstance(node, PipelinePlan):
            return self._pipeline(node, table)
        if isinstance(node, Fork):
            return self._fork(node, table)
        if isinstance(node, Repeat):
            return self._repeat(node, table)
        return concat([concat(self._work(node, given)) for given in _rounds(table, node.times)])

    def _fork(self, plan: Fork, table: pa.Table) -> pa.Table:
        *lanes, rest = self._work(plan.split, table)
        ways = zip(plan.branches, lanes, strict=True)
        gone = [self._pipeline(branch, lane) for branch, lane in ways if lane.num_rows]
        return self._node(plan.join, together([*gone, rest]))

    def _repeat(self, plan: Repeat, table: pa.Table) -> pa.Table:
        going = self._pipeline(plan.body, table)
        done: list[pa.Table] = []
        for number in range(1, plan.most):
            going, finished = self._work(plan.split, going)
            done.append(finished)
            if not going.num_rows:
                return self._node(plan.join, concat(done))
            going = self._pipeline(plan.body, in_round(going, number))
        return self._node(plan.join, together([*done, going if plan.unmet is None else self._node(plan.unmet, going)]))

    def _work(self, step: Step, table: pa.Table) -> list[pa.Table]:
        context = _Heard(self.live, step, table)
        parts, counts = do(step, table, context)
        rejects = [context.rejects[row] for row in sorted(context.rejects)]
        if not isinstance(step.block, LaneBlock) or rejects or counts.filtered:
            before, after = _without_places(table), _without_places(concat(parts))
            self.preview.steps.append(StepPreview(step, before, after, context.exchanges, rejects, counts))
        return parts


def _without_places(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in table.column_names if is_reserved(name) and name != ROW_ID])


def _rounds(table: pa.Table, times: int) -> list[pa.Table]:
    return [table] if times == 1 else [in_round(table, number) for number in range(times)]


def as_json(preview: Preview) -> dict[str, Any]:
    """Return a preview as a JSON object: ``{steps: [{name, type, exchanges, rows, rejects, …}], rows, …}``."""
    from sdg_prefect.rows import without_ids

    return {
        "flow": preview.flow,
        "steps": [_step_json(step) for step in preview.steps],
        "rows": without_ids(preview.table).to_pylist(),
        "llm_calls": preview.counts.llm_calls,
        "llm_replayed": preview.counts.replayed,
        "cost_usd": preview.counts.cost_usd,
        "cost_known": preview.counts.cost_known,
    }


def _step_json(step: StepPreview) -> dict[str, Any]:
    written = set(step.step.block.writes())
    return {
        "name": step.step.name,
        "type": step.step.block.type_name,
        "rows_in": step.before.num_rows,
        "rows_out": step.after.num_rows,
        "skipped": step.counts.skipped,
        "filtered": step.counts.filtered,
        "deduplicated": step.counts.deduplicated,
        "exchanges": [
            {"row_id": request.row_id, "asked": request.asked, **_answer(answer)} for request, answer in step.exchanges
        ],
        "rejects": [reject.model_dump() for reject in step.rejects],
        "rows": step.after.to_pylist(),
        "row_ids": ids_of(step.before),
        "columns_kept": [name for name in step.before.column_names if name != ROW_ID and name not in written],
        "parents": _parents(step),
    }


def _parents(step: StepPreview) -> list[str]:
    """Return for each row that a block made the row that it made it of."""
    made, maker = dict.fromkeys(ids_of(step.after), 0), step.step.block.type_name
    origins = {child: one for one in ids_of(step.before) for child in children_of(one, made, maker)}
    return [origins.get(row_id, "") for row_id in made]


def _answer(answer: Completion | Failure) -> dict[str, Any]:
    if isinstance(answer, Failure):
        return {"error": f"{answer.error}: {answer.message}"}
    return {"replies": [said(choice.text, choice.tool_calls) for choice in answer.choices], "is_replayed": answer.replayed}
