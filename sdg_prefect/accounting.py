"""Where every row of a block went: which rows its output is made of, what ids that gives, and the law that none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sdg_prefect.counts import Counts
from sdg_prefect.errors import ConservationError
from sdg_prefect.rows import PART_ROWS, ROW_ID, child_id, child_ids, with_ids

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Accounted:
    """The output of a block with its row ids, and what became of the input rows."""

    parts: tuple[pa.Table, ...]
    parents: pa.ChunkedArray
    """For each output row the id of the input row that it is made of."""
    counts: Counts


def account(
    before: pa.ChunkedArray,
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
    import pyarrow as pa

    carried = _carried(parts)
    is_in_place = carried is not None and _are_in_place(parts)
    if carried is not None and is_in_place and not (rejected or makes_rows) and _are_among(carried, before):
        left_out = len(before) - len(carried)
        if not left_out or leaves_out != "nothing":
            # The same rows, or some of them, as most transforms and filters give them.
            counts = Counts(rows_in=len(before), rows_out=len(carried), gave_rows=len(carried))
            return Accounted(tuple(parts), carried, counts + _left_out(leaves_out, left_out))
    given = before.to_pylist()
    parents = _parents(given, parts, name, log) if carried is None else carried.to_pylist()
    known, refused = set(given), set(rejected)
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
        rejected=len(refused),
    ) + _left_out(leaves_out, len(missing))
    if not counts.is_conserved:
        raise ConservationError(f"block '{name}' breaks the law of rows: {counts.model_dump()}.")
    ids = _own_ids(parents, type_name, makes_rows)
    in_place = tuple(parts) if is_in_place and ids is parents else _identified(parts, ids)
    return Accounted(in_place, pa.chunked_array([parents], pa.string()), counts)


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


def _left_out(leaves_out: Literal["nothing", "filtered", "deduplicated"], rows: int) -> Counts:
    return Counts() if leaves_out == "nothing" else Counts(**{leaves_out: rows})


def _carried(parts: Sequence[pa.Table]) -> pa.ChunkedArray | None:
    """Return the ids that the output rows carry; None where some carry none."""
    import pyarrow as pa

    if any(ROW_ID not in part.column_names or part.column(ROW_ID).null_count for part in parts):
        return None
    return pa.chunked_array([chunk for part in parts for chunk in part.column(ROW_ID).cast(pa.string()).chunks], pa.string())


def _are_among(carried: pa.ChunkedArray, before: pa.ChunkedArray) -> bool:
    """True if ids are those of input rows, each of another one, in their order; as many as there are, none is held."""
    rest = _each(before)
    return carried.equals(before) or all(row_id in rest for row_id in _each(carried))


def _each(ids: pa.ChunkedArray) -> Iterator[str]:
    for start in range(0, len(ids), PART_ROWS):
        yield from ids.slice(start, PART_ROWS).to_pylist()


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
