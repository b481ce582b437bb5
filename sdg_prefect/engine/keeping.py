"""What a run leaves in its folder of the store: what it uses, and at its end how it went, for programs and for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.delivering import Delivery, Target, deliver, gather
from sdg_prefect.engine.explaining import Explainer
from sdg_prefect.engine.gates import Gates
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.shard import Shard
from sdg_prefect.errors import SdgError
from sdg_prefect.plan.describing import describe
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.page import report_page
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.report.timeline import Timeline
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.documents import pdf_reading
from sdg_prefect.store.figures import write_figures
from sdg_prefect.store.manifest import address_of, files_at, files_of, programs, revision_of, write_manifest
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import write_page, write_plan, write_rejects, write_report, write_uses
from sdg_prefect.store.trail import Made, Trail, trail_of, write_trail

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.engine.walking import Walk

_SAMPLES = 5
_EXAMPLES = 3
"""Rejected rows of each reason that are shown."""
_LONGEST_LIST = 100
_LONGEST = 4000
"""Characters of a value that are shown."""


@dataclass
class Keeping:
    """Keeps one run."""

    root: Root
    run_id: str
    plan: Plan
    options: RunOptions
    doubts: Sequence[str] = ()
    """What may be missing of the documents that the seeds were read from."""
    timeline: Timeline = field(default_factory=Timeline)
    delivery: Delivery | None = None
    """The rows, if the run came to its end."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the store knows the run to use; empty as long as it has not begun."""
    page: str = ""
    """Where its report is, as a page, once it is written."""
    rejects: Sequence[Reject] = ()
    """The rows that it rejected, once they are kept."""
    _origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gates = Gates(self.root, self.run_id, self.plan)

    @property
    def quarantined(self) -> int:
        """Rows that were kept apart."""
        return 0 if self.delivery is None else self.delivery.quarantined

    def begin(self, folder: str) -> None:
        """Say what the run uses, before its first block begins.

        Args:
            folder: Where its seeds are in the store.
        """
        self.uses = self.plan.uses() | {"input": folder}
        write_uses(self.root, self.run_id, self.uses)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        source = self.options.input
        self._origin = {
            "started": now,
            "files": files_at(self.plan.file),
            "address": address_of(self.plan.file),
            "git": revision_of(self.plan.file),
            # Before anything is asked: a file may get more rows while a run goes on.
            "input": files_of(source) if isinstance(source, str) else [],
        }

    def deliver(
        self, shards: Sequence[Shard], target: Target, tallies: Mapping[str, BlockTally], made: Sequence[Made]
    ) -> list[pa.Table]:
        """Write the rows of shards to the output, if they are what the flow expects, and return those that were.

        Args:
            shards: The rows, in the order of the seeds.
            target: Where the output is.
            tallies: The counts of all blocks.
            made: What each block made.

        Raises:
            ExpectationError: The rows are not as expected, and the run fails for that.
        """
        most = None if self.plan.target is None else self.plan.target.rows
        rows = gather(self.root, shards, self.plan.output_columns, most)
        apart = self.gates.judge(rows, tallies, made)
        delivery = deliver(self.root, self.run_id, rows, apart, target, self.rejects)
        self.delivery = replace(delivery, refs=tuple(shard.ref for shard in shards))
        return delivery.tables

    def keep_rejects(self, rejects: Sequence[Reject]) -> None:
        """Write the rejected rows."""
        self.rejects = rejects
        if rejects:
            write_rejects(self.root, self.run_id, rejects)

    def end(self, report: RunReport, walk: Walk | None) -> None:
        """Write how the run went.

        Raises:
            StoreError: The store cannot be written.
        """
        if walk is not None:
            write_uses(self.root, self.run_id, {**self.uses, "checkpoints": sorted(walk.folders)})
        write_plan(self.root, self.run_id, str(self.plan))
        write_report(self.root, self.run_id, report.to_json())
        trail = self._trail(() if walk is None else walk.made)
        manifest = self._manifest(report, trail)
        write_trail(self.root, self.run_id, trail)
        write_manifest(self.root, self.run_id, manifest)
        figures = self._figures(report, manifest, trail)
        write_figures(self.root, self.run_id, figures)
        self.page = write_page(self.root, self.run_id, report_page(report.to_json(), figures, manifest))

    def _trail(self, made: Sequence[Made]) -> Trail:
        return trail_of(made, () if self.delivery is None else self.delivery.refs)

    def _manifest(self, report: RunReport, trail: Trail) -> dict[str, Any]:
        seeds = [trail.shards[shard] for shard in trail.seeds]
        served = {block["name"]: block["served_models"] for block in report.to_json()["blocks"] if "served_models" in block}
        return {
            "run_id": self.run_id,
            "status": report.status,
            "started": self._origin.get("started"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "store": self.root.uri,
            "flow": describe(self.plan),
            "flow_files": self._origin.get("files", []),
            "flow_address": self._origin.get("address"),
            "git": self._origin.get("git"),
            "programs": programs(),
            "input": {
                "source": self.options.input if isinstance(self.options.input, str) else "rows in memory",
                "address": self._address(self.options.input, str(self.uses.get("input"))),
                "files": self._origin.get("input", []),
                "pdf": self._pdf,
                "doubts": list(self.doubts),
                "stored": self.uses.get("input"),
                "rows": report.rows_in,
                "columns": list(seeds[0].columns) if seeds else [],
            },
            "served_models": served,
            "output": {
                "target": report.output,
                "address": self._address(report.output, f"runs/{self.run_id}"),
                "files": files_at(report.output)
                if report.output and self.delivery is not None and self.delivery.is_written
                else [],
                "rows": report.rows_out,
                "columns": self._columns,
                "content": [ref.fingerprint for ref in (() if self.delivery is None else self.delivery.refs)],
            },
        }

    @property
    def _pdf(self) -> str | None:
        """How seeds in PDF were read; None where none is known of."""
        has_some = any(file["name"].lower().endswith(".pdf") for file in self._origin.get("input", []))
        return pdf_reading(self.options.pdf) if has_some else self.options.pdf

    def _address(self, place: object, in_store: str) -> str:
        """Return where rows are that were read from a place or written there; in the store, where there is none."""
        return address_of(place if isinstance(place, str) else self.root.url(in_store))

    @property
    def _columns(self) -> list[dict[str, Any]]:
        """The columns of the output with their types."""
        if self.delivery is None:
            return []
        return [{"name": column.name, "type": column.kind} for column in self.delivery.profile.columns.values()]

    def _figures(self, report: RunReport, manifest: Mapping[str, Any], trail: Trail) -> dict[str, Any]:
        return {
            "blocks": {tally.name: tally.seen.to_json() for tally in report.blocks},
            "timeline": self.timeline.to_json(),
            "profile": None if self.delivery is None else self.delivery.profile.to_json(),
            "rejects": _by_reason(self.rejects),
            "samples": self._samples(manifest, trail),
        }

    def _samples(self, manifest: Mapping[str, Any], trail: Trail) -> list[dict[str, Any]]:
        """Tell the stories of some rows of the output."""
        explainer = Explainer(self.root, self.run_id, manifest, trail)
        try:
            stories = [explainer.story(row_id) for row_id in explainer.output_rows(_SAMPLES)]
        except SdgError as error:
            return [{"note": f"the stories of rows cannot be told: {error}"}]
        return [shortened(story, _LONGEST) for story in stories if story is not None]


def _by_reason(rejects: Iterable[Reject]) -> list[dict[str, Any]]:
    """Count rejected rows by block and error, with some examples of each."""
    groups: defaultdict[tuple[str, str], list[Reject]] = defaultdict(list)
    for reject in rejects:
        groups[reject.block, reject.error].append(reject)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [
        {
            "block": block,
            "error": error,
            "rows": len(found),
            "examples": [shortened(reject.model_dump(), _LONGEST) for reject in found[:_EXAMPLES]],
        }
        for (block, error), found in ordered
    ]


def shortened(value: Any, most: int) -> Any:
    """Return a JSON-like value with its long texts cut, and its long lists."""
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return {name: shortened(item, most) for name, item in value.items()}
    if isinstance(value, Sequence):
        return [shortened(item, most) for item in value[:_LONGEST_LIST]]
    return value
