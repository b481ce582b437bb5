"""From input rows to output rows: each with its parent, or rejected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.completion import Failure
from sdg_prefect.rows import set_column

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.blocks.context import Context


@dataclass(slots=True)
class Expansion:
    """Output rows as they come: for each the place of its input row, and the new values."""

    columns: tuple[str, ...]
    parents: list[int] = field(default_factory=list)
    values: list[Sequence[Any]] = field(default_factory=list)

    def add(self, parent: int, values: Sequence[Any]) -> None:
        """Add an output row."""
        self.parents.append(parent)
        self.values.append(values)

    def table(self, source: pa.Table, kind: pa.DataType | Sequence[pa.DataType] | None = None) -> pa.Table:
        """Return the input rows, repeated as needed, with the new columns in their places or behind.

        Args:
            source: The input rows.
            kind: The type of the new columns, or of each of them, text if not given. It never depends on the values: a shard
                whose rows are all rejected has to fit to the others.
        """
        import pyarrow as pa

        table = source.take(pa.array(self.parents, pa.int64()))
        kinds = kind if isinstance(kind, Sequence) else [kind or pa.string()] * len(self.columns)
        for place, name in enumerate(self.columns):
            table = set_column(table, name, pa.array([row[place] for row in self.values], kinds[place]))
        return table


def reject_failure(context: Context, row: int, failure: Failure) -> None:
    """Reject a row whose call failed."""
    context.reject(row, failure.error, failure.message, attempts=failure.attempts, transient=failure.transient)
