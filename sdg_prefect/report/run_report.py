"""The report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.counts import Counts
from sdg_prefect.frequencies import WARNING, Frequencies, Histogram, Seen


@dataclass(slots=True)
class BlockTally:
    """A block's counts as its shards come in."""

    name: str
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    """Time that its shards took, added up."""
    shards: int = 0
    shards_replayed: int = 0
    seen: Frequencies = field(default_factory=Frequencies)
    """What was seen of the completions behind its rows, whichever run bought them."""

    def add(self, counts: Counts, seconds: float, *, replayed: bool, seen: Seen | None = None) -> Sequence[str]:
        """Add a shard, and return the warnings that come with it for the first time.

        Args:
            counts: Its counts.
            seconds: The time that it took.
            replayed: True if it was there from an earlier run.
            seen: What was seen of its completions.
        """
        told = len(self.warnings)
        counts = counts.as_replayed() if replayed else counts
        self.counts += counts
        self.seconds += 0.0 if replayed else seconds
        self.seen.add(seen or {})
        self.shards += 1
        self.shards_replayed += replayed
        return self.warnings[told:]

    def begin_again(self) -> None:
        """Forget the rows, which are about to be counted once more with others, and keep the calls that were made for them."""
        self.counts = self.counts.without_rows
        self.seen.pop(WARNING, None)
        self.shards = self.shards_replayed = 0

    def add_again(self, counts: Counts, *, replayed: bool, seen: Seen | None = None) -> None:
        """Add a shard whose calls are counted already.

        Args:
            counts: Its counts.
            replayed: True if it was there from an earlier run.
            seen: What was seen of its completions, and its warnings, which alone count again.
        """
        self.counts += counts.rows_alone
        self.seen.add({WARNING: (seen or {}).get(WARNING, {})})
        self.shards += 1
        self.shards_replayed += replayed

    @property
    def warnings(self) -> list[str]:
        """What the block warns of."""
        return [f"block '{self.name}': {message}" for message in self.seen.get(WARNING, {})]


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did."""

    status: str
    """``completed``, ``completed_with_rejects``, ``target_missed``, ``nothing_new``, ``quarantined``, ``failed``,
    ``interrupted``, ``suspended``, ``stopped_by_budget`` or ``stopped_by_review``."""
    run_id: str
    flow: str
    rows_in: int
    rows_out: int
    blocks: Sequence[BlockTally]
    seconds: float
    """From the first block's start to the finished output."""
    output: str | None
    storage: str
    error: str = ""
    ui_url: str = ""
    warnings: Sequence[str] = ()
    budget: Mapping[str, Any] | None = None
    """The budget, and what this and earlier runs spent of it, if there is one."""
    target: Mapping[str, Any] | None = None
    """What was wanted, tried and accepted, in a run with a target."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Values of the flow's parameters."""
    endpoints: Sequence[Mapping[str, Any]] = ()
    """For each endpoint that was called: the model, its address, the calls sent there, and those that it answered."""
    reviews: Sequence[Mapping[str, Any]] = ()
    """What people decided about rows: the block, how many rows, the decision, and where it came from."""

    version: Mapping[str, Any] | None = None
    """The newest version of an output that grows: its number, the rows and seeds of the output, and those that the run added."""
    gates: Sequence[Mapping[str, Any]] = ()
    """For each gate of the flow what was found; see ``Verdict``."""
    rows_quarantined: int = 0
    """Rows that break what the flow expects, and were kept apart."""

    @property
    def total(self) -> Counts:
        """The counts of all blocks together."""
        return sum((tally.counts for tally in self.blocks), Counts())

    @property
    def cost_per_row(self) -> float | None:
        """USD that one row of the output has cost, whichever run paid for it; None without rows or with an unknown price."""
        total = self.total
        return total.bought_usd / self.rows_out if self.rows_out and total.bought_known else None

    def to_json(self) -> dict[str, Any]:
        """Return the report as one JSON object, as ``run --json`` prints it."""
        total = self.total
        return {
            "status": self.status,
            "run_id": self.run_id,
            "flow": self.flow,
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rows_filtered": total.filtered,
            "rows_deduplicated": total.deduplicated,
            "rows_rejected": total.rejected,
            "rows_quarantined": self.rows_quarantined,
            "llm_calls": total.llm_calls,
            "llm_replayed": total.replayed,
            "tokens_in": total.tokens_in,
            "tokens_out": total.tokens_out,
            "tokens_cached": total.tokens_cached,
            "tokens_written": total.tokens_written,
            "cached_share": round(total.cached_share, 4),
            "cost_usd": round(total.cost_usd, 6),
            "cost_known": total.cost_known,
            "cost_per_row_usd": None if self.cost_per_row is None else round(self.cost_per_row, 8),
            "seconds": round(self.seconds, 3),
            "output": self.output,
            "storage": self.storage,
            "error": self.error or None,
            "ui_url": self.ui_url or None,
            "budget": self.budget,
            "target": self.target,
            "parameters": dict(self.parameters),
            "endpoints": list(self.endpoints),
            "reviews": list(self.reviews),
            "version": self.version,
            "warnings": list(self.warnings),
            "gates": list(self.gates),
            "blocks": [block_json(tally) for tally in self.blocks],
        }


def block_json(tally: BlockTally) -> Mapping[str, Any]:
    """Return a block's part of the report."""
    counts = tally.counts
    return {
        "name": tally.name,
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "gave_rows": counts.gave_rows,
        "skipped": counts.skipped,
        "filtered": counts.filtered,
        "deduplicated": counts.deduplicated,
        "rejected": counts.rejected,
        "unparsed": counts.unparsed,
        "llm_calls": counts.llm_calls,
        "replayed": counts.replayed,
        "tokens_in": counts.tokens_in,
        "tokens_out": counts.tokens_out,
        "tokens_cached": counts.tokens_cached,
        "tokens_written": counts.tokens_written,
        "cached_share": round(counts.cached_share, 4),
        "cost_usd": round(counts.cost_usd, 6),
        "cost_known": counts.cost_known,
        "shards": tally.shards,
        "shards_replayed": tally.shards_replayed,
        "seconds": round(tally.seconds, 3),
        **_seen_json(tally.seen),
    }


def _seen_json(seen: Seen) -> Mapping[str, Any]:
    """Return what a report says in a few numbers of the completions behind a block's rows; nothing where there are none."""
    if "completions" not in seen:
        return {}
    seconds = Histogram(seen.get("seconds", {}))
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {
        "served_models": dict(seen["completions"]),
        "finish_reasons": dict(seen.get("finish_reason", {})),
        "latency_seconds": {name: round(seconds.quantile(share) or 0.0, 4) for name, share in shares.items()},
    }
