"""The gates of a flow at the end of its run: judged before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import ExpectationError
from sdg_prefect.plan.passing import passing
from sdg_prefect.plan.plan import Plan, Step
from sdg_prefect.report.expectations import Contamination, Drift, Expectations, Gate
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.report.verdicts import Evidence, Verdict, judge
from sdg_prefect.rows import with_rows
from sdg_prefect.store.figures import last_profile
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shards
from sdg_prefect.store.trail import Made

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.report.verdicts import Mask


@dataclass
class Gates:
    """What a flow expects, and what was found."""

    root: Root
    run_id: str
    plan: Plan
    verdicts: list[Verdict] = field(default_factory=list)

    def judge(self, tables: Sequence[pa.Table], tallies: Mapping[str, BlockTally], made: Sequence[Made]) -> list[Mask] | None:
        """Judge the rows of the output, and those that blocks made which have gates of their own.

        Args:
            tables: The rows of the output.
            tallies: The counts of all blocks.
            made: What each block made.

        Returns:
            Which rows of each table are to be kept apart; None for none.

        Raises:
            ExpectationError: A gate with the action ``fail`` does not hold.
        """
        counts = {label: tally.counts for label, tally in tallies.items()}
        apart = self._judge(self.plan.expect, tables, passing(self.plan.pipelines, counts), "")
        for step in self.plan.steps():
            if step.expect:
                rows = self._rows_of(step, made)
                apart = _or(apart, self._judge(step.expect, rows, passing([step], counts), step.label, tables))
        failed = [verdict for verdict in self.verdicts if not verdict.holds and verdict.action == "fail"]
        if failed:
            first = failed[0]
            where = f"block '{first.block}': " if first.block else ""
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise ExpectationError(
                f"{where}{first.kind} is not as expected: {first.says}{more}.",
                "No output was written; the rows are in the store.",
            )
        return apart

    def _judge(
        self,
        expect: Expectations,
        tables: Sequence[pa.Table],
        accepted: float,
        block: str,
        output: Sequence[pa.Table] = (),
    ) -> list[Mask] | None:
        import numpy as np

        apart: list[Mask] | None = None
        for kind, gate in expect.gates():
            verdict, masks = judge(kind, gate, Evidence(tables, accepted, self._last(gate), _against(gate)), block)
            self.verdicts.append(verdict)
            if verdict.holds or verdict.action != "quarantine":
                continue
            rows = output if block else tables
            # What breaks a gate within the flow is not in the output any more as it was: all that came of it is kept apart.
            whole = [np.ones(table.num_rows, np.bool_) for table in rows]
            apart = _or(apart, whole if block or masks is None else masks)
        return apart

    def _rows_of(self, step: Step, made: Sequence[Made]) -> list[pa.Table]:
        refs = {(ref.uri, ref.file): ref for work in made if work.step == step.label for ref in work.made}
        return with_rows(read_shards(self.root, list(refs.values()))) if refs else []

    def _last(self, gate: Gate) -> Mapping[str, Any] | None:
        return last_profile(self.root, self.plan.name, self.run_id) if isinstance(gate, Drift) else None


def _against(gate: Gate) -> Mapping[str, Iterator[Mapping[str, Any]]] | None:
    """Read the evaluation set of a gate."""
    if not isinstance(gate, Contamination):
        return None
    from sdg_prefect.store.seeds import read_seeds

    table = read_seeds(gate.against)
    return {gate.against: (row for batch in table.to_batches(max_chunksize=10_000) for row in batch.to_pylist())}


def _or(one: list[Mask] | None, other: list[Mask] | None) -> list[Mask] | None:
    if one is None or other is None:
        return other if one is None else one
    return [mine | theirs for mine, theirs in zip(one, other, strict=True)]
