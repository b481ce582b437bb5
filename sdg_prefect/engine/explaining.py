"""The story of a row: its seed, what each block asked for it and was told, and what became of it.

Nothing of it is kept but what a run keeps anyway: parents follow from ids, prompts from the blocks as the run had them, and
replies are in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.replaying import replay
from sdg_prefect.errors import SdgError, StoreError
from sdg_prefect.frozen import digest
from sdg_prefect.report.described import steps_of
from sdg_prefect.rows import ROW_ID, ids_of, is_reserved
from sdg_prefect.store.ledger.completions import ReadLedger, open_ledger
from sdg_prefect.store.lineage import fates, parent_of
from sdg_prefect.store.manifest import read_manifest
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_rejects_of
from sdg_prefect.store.shards import read_shard
from sdg_prefect.store.trail import Given, Passage, Trail, read_trail
from sdg_prefect.store.writers import json_text

if TYPE_CHECKING:
    import pyarrow as pa

_HELD = 8
"""Shards that are held at one time."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a row stands."""

    given: Given
    place: int


@dataclass(frozen=True, slots=True)
class Link:
    """One block's part in the story of a row."""

    passage: Passage
    before: Spot
    """The row that the block was given."""
    after: Spot
    """The row that it made of it."""


@dataclass
class Explainer:
    """Tells stories of the rows of one run."""

    root: Root
    run_id: str
    manifest: Mapping[str, Any]
    trail: Trail
    _tables: dict[Given, pa.Table] = field(default_factory=dict)
    _ledgers: dict[str, ReadLedger] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Root, run_id: str) -> Explainer:
        """Open the run of a store.

        Raises:
            StoreError: It left no trail.
        """
        return cls(root, run_id, read_manifest(root, run_id), read_trail(root, run_id))

    def story(self, row_id: str) -> dict[str, Any] | None:
        """Tell the story of a row; None where the run had no such row.

        Args:
            row_id: Of the output, of a seed, or of a row in between, as in the rejects.

        Raises:
            Damaged: Rows on the way are gone or damaged.
        """
        spot = self._find(row_id)
        return None if spot is None else self._story(row_id, spot)

    def output_rows(self, most: int) -> list[str]:
        """Return the ids of some rows of the output: of its first shard and its last one, at even distances."""
        ends = list(dict.fromkeys([*self.trail.output[:1], *self.trail.output[-1:]]))
        each = -(-most // max(1, len(ends)))
        found: list[str] = []
        for given in ends:
            ids = ids_of(self._table(given))
            found += ids[:: max(1, -(-len(ids) // each))]
        return found[:most]

    def _story(self, row_id: str, spot: Spot) -> dict[str, Any]:
        links, seed = self._back(spot)
        return {
            "row_id": row_id,
            "run_id": self.run_id,
            "is_in_output": spot.given in self.trail.output,
            "row": self._row(spot),
            "seed": {"row_id": self._id(seed), "row": self._row(seed)},
            "steps": [self._step(link) for link in links],
            "afterwards": [] if spot.given in self.trail.output else self._afterwards(spot, row_id),
        }

    def _afterwards(self, spot: Spot, row_id: str) -> list[dict[str, Any]]:
        """Tell what became of a row that is not in the output."""
        steps = steps_of(self.manifest["flow"])
        makers = {label: str(step["type"]) for label, step in steps.items()}
        rejects = {(row["block"], row["row_id"]): row for row in read_rejects_of(self.root, self.run_id)}
        told = []
        for fate in fates(
            self.root, self.trail, makers, spot.given.shard, self._id(Spot(Given(shard=spot.given.shard), spot.place))
        ):
            gone = {row_id: rejects.get((fate.step, row_id)) for row_id in fate.gone}
            why = [
                {name: row[name] for name in ("row_id", "error", "message", "raw")} for row in gone.values() if row is not None
            ]
            left_out = len(gone) - len(why)
            told.append(
                {
                    "block": fate.step,
                    "rows_before": fate.before,
                    "rows_after": fate.after,
                    "rejected": why,
                    str(steps[fate.step]["leaves_out"] if left_out else "filtered"): left_out,
                }
            )
        return told

    def _find(self, row_id: str) -> Spot | None:
        """Find the last place where a row stands."""
        made = [Given(shard=shard) for passage in reversed(self.trail.passages) for shard in passage.made]
        seeds = [Given(shard=shard) for shard in self.trail.seeds]
        in_rounds = [given for passage in self.trail.passages for given in passage.given if given.rounds]
        for given in dict.fromkeys([*self.trail.output, *made, *seeds, *in_rounds]):
            place = self._place(given, row_id)
            if place is not None:
                return Spot(given, place)
        return None

    def _back(self, spot: Spot) -> tuple[list[Link], Spot]:
        """Go back to the seed; return the links from there on, and the seed."""
        links: list[Link] = []
        # In a round of a repetition a row has an id of its own, but the place of the row that it is.
        here = Spot(Given(shard=spot.given.shard), spot.place)
        while (passage := self.trail.maker(here.given.shard)) is not None:
            before = self._parent(passage, self._id(here))
            links.append(Link(passage, before, here))
            here = Spot(Given(shard=before.given.shard), before.place)
        return links[::-1], here

    def _parent(self, passage: Passage, row_id: str) -> Spot:
        ids = {given: ids_of(self._table(given)) for given in passage.given}
        most = sum(self.trail.shards[shard].rows for shard in passage.made)
        maker = str(steps_of(self.manifest["flow"])[passage.step]["type"])
        parent = parent_of(row_id, [one for known in ids.values() for one in known], maker, most)
        for given, known in ids.items():
            if parent in known:
                return Spot(given, known.index(parent))
        raise StoreError(f"block '{passage.step}' of run {self.run_id} has no row that {row_id} is made of.")

    def _step(self, link: Link) -> dict[str, Any]:
        told = steps_of(self.manifest["flow"])[link.passage.step]
        before, after = self._row(link.before), self._row(link.after)
        exchanges, note = self._exchanges(told, link)
        return {
            "block": told["label"],
            "type": told["type"],
            "version": told["version"],
            "key": told["key"],
            "row_id": self._id(link.before),
            "made": self._id(link.after),
            "changed": {name: value for name, value in after.items() if name not in before or before[name] != value},
            "dropped": [name for name in before if name not in after],
            "exchanges": exchanges,
            "note": note,
        }

    def _exchanges(self, told: Mapping[str, Any], link: Link) -> tuple[list[dict[str, Any]], str]:
        """Return what the block asked for a row and was told, and what stands in the way of telling it."""
        if not told["ledger_key"]:
            return [], ""
        table, content = self._table(link.before.given), digest(tuple(self.trail.ref(one).content for one in link.passage.given))
        given = table if told["scope"] == "all" else table.slice(link.before.place, 1)
        try:
            exchanges = replay(told, self.manifest["flow"]["models"], given, content, self._ledger(told["ledger_key"]))
        except SdgError as error:
            return [], str(error)
        return [one.to_json() for one in exchanges if one.request.row_id == self._id(link.before)], ""

    def _ledger(self, key: str) -> ReadLedger:
        return self._ledgers.setdefault(key, open_ledger(self.root, key))

    def _table(self, given: Given) -> pa.Table:
        if given not in self._tables:
            if len(self._tables) >= _HELD:
                self._tables.pop(next(iter(self._tables)))
            self._tables[given] = read_shard(self.root, self.trail.ref(given))
        return self._tables[given]

    def _place(self, given: Given, row_id: str) -> int | None:
        import pyarrow.compute as pc

        place: int = pc.index(self._table(given).column(ROW_ID), row_id).as_py()
        return None if place < 0 else place

    def _id(self, spot: Spot) -> str:
        return str(self._table(spot.given).column(ROW_ID)[spot.place].as_py())

    def _row(self, spot: Spot) -> dict[str, Any]:
        row: dict[str, Any] = json.loads(json_text(self._table(spot.given).slice(spot.place, 1).to_pylist()[0]))
        return {name: value for name, value in row.items() if not is_reserved(name)}
