"""Rows at some point of the look ahead: known, or only counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sdg_prefect.engine.guess import Guess
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.plan.sharding import cut
from sdg_prefect.rows import in_round
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shard

if TYPE_CHECKING:
    import pyarrow as pa

_NOTHING = Guess()


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows at some point of the walk."""

    ref: DatasetRef | None
    """What they are; None where some depend on replies to come."""
    table: pa.Table | None
    """The rows that are known; None where they lie in the store."""
    open_rows: Guess = _NOTHING
    """How many depend on replies to come."""
    home: int = 0
    """Where rows took lanes one shard at a time: the number of the shard that they come from."""

    @property
    def rows(self) -> Guess:
        """How many they are, all together."""
        known = self.ref.rows if self.ref is not None else self.table.num_rows if self.table is not None else 0
        return Guess.exactly(known) + self.open_rows

    def load(self, root: Root) -> pa.Table | None:
        """Return the rows that are known."""
        return read_shard(root, self.ref) if self.table is None and self.ref is not None else self.table

    def in_round(self, number: int) -> Piece:
        """Return the same rows, as the input of one round of a repetition."""
        ref = self.ref and self.ref.in_round(number)
        return replace(self, ref=ref, table=None if self.table is None else in_round(self.table, number))


def pieces_of(table: pa.Table, size: int) -> list[Piece]:
    """Cut rows that are known."""
    return [known(table.slice(start, length)) for start, length in cut(table.num_rows, size)]


def known(table: pa.Table) -> Piece:
    """Return rows that are known."""
    columns = tuple(table.column_names[1:])
    return Piece(DatasetRef(uri="", rows=table.num_rows, fingerprint=fingerprint(table), columns=columns), table)
