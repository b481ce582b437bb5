"""Where every row of a block went: which rows its output is made of, what ids that gives, and the law that none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sdg_prefect.counts import Counts
from sdg_prefect.errors import ConservationError
from sdg_prefect.rows import ROW_ID, child_id, child_ids, ids_of, with_ids

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Accounted:
    """The output of a block with its row ids, and what became of the input rows."""

    parts: tuple[pa.Table, ...]
    parents: tuple[str, ...]
    """For each output row the id of the input row that it is made of."""
    counts: Counts


def account(
    before: list[str],
    parts: Sequence[pa.Table],
    rejected: Collection[str],
    *,
    name: str,
    type_name: str,
    leaves_out: Literal["nothing", "filtered", "deduplicated"],
    makes_rows: bool,
    log: Callable[[str], None],
) -> Accounted:
    """Give the output rows their ids, and say what became of every input row.

    Args:
        before: The ids of the input rows.
        parts: What the block gave; each row carries the id of the input row that it is made of.
        rejected: The ids of the input rows that the block rejected.
        name: The name of the block, for messages.
        type_name: The type of the block, which is the maker in the ids of new rows.
        leaves_out: What an input row is called that is neither given nor rejected.
        makes_rows: True if one input row may give several.
        log: Writes a line to the run's log.

    Raises:
        ConservationError: The block lost or invented rows.
    """
    carried = _carried(parts)
    is_in_place = carried is not None and _are_in_place(parts)
    if is_in_place and carried == before and not (rejected or makes_rows):
        # The same rows, as most transforms give them.
        return Accounted(tuple(parts), tuple(before), Counts(rows_in=len(before), rows_out=len(before), gave_rows=len(before)))
    parents = _parents(before, parts, name, log) if carried is None else carried
    known, refused = set(before), set(rejected)
    gave = set(parents) & known
    missing = known - gave - refused
    if strangers := set(parents) - known:
        raise ConservationError(f"block '{name}' gave {len(strangers)} row(s) with an id that none of its rows has.")
    if gave & refused:
        raise ConservationError(f"block '{name}' rejected {len(gave & refused)} row(s) that it also gave.")
    if missing and leaves_out == "nothing":
        raise ConservationError(
            f"block '{name}' lost {len(missing)} of {len(before)} rows without a word.",
            "A block that leaves rows out on purpose says so with leaves_out = 'filtered'; "
            "for rows that fail it calls context.reject.",
        )
    counts = Counts(
        rows_in=len(before),
        rows_out=len(parents),
        gave_rows=len(gave),
        filtered=len(missing) if leaves_out == "filtered" else 0,
        deduplicated=len(missing) if leaves_out == "deduplicated" else 0,
        rejected=len(refused),
    )
    if not counts.is_conserved:
        raise ConservationError(f"block '{name}' breaks the law of rows: {counts.model_dump()}.")
    ids = _own_ids(parents, type_name, makes_rows)
    return Accounted(tuple(parts) if is_in_place and ids is carried else _identified(parts, ids), tuple(parents), counts)


def check_chain(name: str, given: int, counts: Counts, made: int) -> None:
    """Check that a block got every row that the one before gave, and gave every row that it counted.

    With the law of each block this is the law of the run: no row is lost between two blocks either.

    Args:
        name: The name of the block, for messages.
        given: Rows of the shards that it was to work on.
        counts: What it counted.
        made: Rows of the shards that it handed on.

    Raises:
        ConservationError: Rows were lost or invented between blocks.
    """
    if (given, made) != (counts.rows_in, counts.rows_out):
        raise ConservationError(
            f"block '{name}' was given {given} rows and counted {counts.rows_in}; it counted {counts.rows_out} rows that it "
            f"gave and handed on {made}."
        )


def _carried(parts: Sequence[pa.Table]) -> list[str] | None:
    """Return the ids that the output rows carry; None where some carry none."""
    if any(ROW_ID not in part.column_names for part in parts):
        return None
    found = [row_id for part in parts for row_id in ids_of(part)]
    return None if None in found else found


def _are_in_place(parts: Sequence[pa.Table]) -> bool:
    """True if the ids stand where ``with_ids`` puts them."""
    import pyarrow as pa

    return all(part.column_names[0] == ROW_ID and part.schema.field(0).type == pa.string() for part in parts)


def _parents(before: Sequence[str], parts: Sequence[pa.Table], name: str, log: Callable[[str], None]) -> list[str]:
    """Return for each output row without an id that of the input row which it is taken to be made of.

    A user's block may have built its rows anew and lost the ids. As many rows as before are then taken to be the same rows in the
    same order; otherwise each further row counts as made of the first.
    """
    rows = sum(part.num_rows for part in parts)
    if rows == len(before):
        return list(before)
    if rows and not before:
        raise ConservationError(f"block '{name}' made {rows} rows of none.")
    if not rows:
        return []
    log(f"the block does not pass on the column {ROW_ID}, so its rows cannot be traced to those that they are made of")
    return [*before, *[before[0]] * (rows - len(before))] if rows > len(before) else list(before[:rows])


def _own_ids(parents: list[str], maker: str, makes_rows: bool) -> list[str]:
    """Return the ids of the output rows: their parents', or children's where a parent may give several."""
    if makes_rows:
        return child_ids(parents, maker)
    if len(set(parents)) == len(parents):
        return parents
    given, seen, ids = Counter(parents), Counter[str](), []
    for parent in parents:
        ids.append(parent if given[parent] == 1 else child_id(parent, maker, seen[parent]))
        seen[parent] += 1
    return ids


def _identified(parts: Sequence[pa.Table], ids: list[str]) -> tuple[pa.Table, ...]:
    identified, start = [], 0
    for part in parts:
        identified.append(with_ids(part, ids[start : start + part.num_rows]))
        start += part.num_rows
    return tuple(identified)
