"""Whether rows are what a flow expects of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import xxhash

from sdg_prefect.frequencies import Histogram, distance, shares_of
from sdg_prefect.report.expectations import (
    AcceptRate,
    Agreement,
    Balance,
    Contamination,
    Drift,
    DuplicateRate,
    Gate,
    Length,
)
from sdg_prefect.report.profile import MOST_LABELS, labels_of, profile_of, row_hashes
from sdg_prefect.rows import PART_ROWS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Mask = npt.NDArray[np.bool_]

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one gate holds."""

    kind: str
    """Such as ``accept_rate``."""
    block: str
    """The block that it stands at; empty for the flow's root."""
    action: str
    holds: bool
    measured: float | None
    """What was measured; None where there was nothing to measure."""
    says: str
    """The measured and the expected, for a person."""
    rows: int = 0
    """Rows that break it, where it is about single rows."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What gates are judged by."""

    tables: Sequence[pa.Table]
    """The rows."""
    accepted: float = 1.0
    """The share of rows that pass the block, or all blocks of the run."""
    last: Mapping[str, Any] | None = None
    """The profile of the last run's output, as its JSON has it, with ``run_id``."""
    against: Mapping[str, Iterable[Mapping[str, Any]]] | None = None
    """The rows of evaluation sets, by their names."""


def judge(kind: str, gate: Gate, evidence: Evidence, block: str = "") -> tuple[Verdict, list[Mask] | None]:
    """Judge a gate.

    Returns:
        The verdict, and for a gate about single rows which of each table break it.
    """
    masks: list[Mask] | None = None
    if gate.is_about_rows:
        masks = _breaking(gate, evidence)
        broken = int(sum(mask.sum() for mask in masks))
        measured: float | None = broken / max(1, sum(len(mask) for mask in masks))
        holds, says = _by_rows(gate, measured or 0.0)
    else:
        broken = 0
        measured, holds, says = _by_all(gate, evidence)
    return Verdict(kind, block, gate.action, holds, None if measured is None else round(measured, 6), says, broken), masks


def _by_rows(gate: Gate, broken: float) -> tuple[bool, str]:
    if isinstance(gate, Length):
        bounds = " and ".join(
            f"{word} {bound:,}" for word, bound in (("at least", gate.min), ("at most", gate.max)) if bound is not None
        )
        says = f"{1 - broken:.2%} of '{gate.column}' have {bounds} characters; at least {gate.share:.2%} should"
        return 1 - broken >= gate.share, says
    most = gate.max if isinstance(gate, DuplicateRate | Contamination) else 0.0
    what = "repeat an earlier one" if isinstance(gate, DuplicateRate) else f"share words with {getattr(gate, 'against', '')}"
    within = f" in {', '.join(gate.reads())}" if gate.reads() else ""
    return broken <= most, f"{broken:.2%} of the rows {what}{within}; at most {most:.2%} may"


def _by_all(gate: Gate, evidence: Evidence) -> tuple[float | None, bool, str]:
    if isinstance(gate, AcceptRate):
        rate = evidence.accepted
        return rate, rate >= gate.min, f"{rate:.2%} of the rows pass; at least {gate.min:.2%} should"
    if isinstance(gate, Agreement):
        rate = _agreement(evidence.tables, gate.columns)
        return (
            rate,
            rate >= gate.min,
            f"{', '.join(gate.columns)} agree in {rate:.2%} of the rows; at least {gate.min:.2%} should",
        )
    if isinstance(gate, Balance):
        return _balance(gate, evidence.tables)
    if isinstance(gate, Drift):
        return _drift(gate, evidence)
    raise TypeError(f"no way to judge a gate of {type(gate).__name__}")


def _agreement(tables: Sequence[pa.Table], columns: Sequence[str]) -> float:
    agreeing = rows = 0
    for table in tables:
        for batch in table.select(list(columns)).to_batches(max_chunksize=PART_ROWS):
            rows += batch.num_rows
            agreeing += sum(len({str(value) for value in row.values()}) == 1 for row in batch.to_pylist())
    return agreeing / rows if rows else 1.0


def _balance(gate: Balance, tables: Sequence[pa.Table]) -> tuple[float | None, bool, str]:
    import pyarrow as pa

    if any(pa.types.is_nested(table.schema.field(gate.column).type) for table in tables):
        return None, False, f"'{gate.column}' holds lists or objects: it is no column of labels"
    labels = labels_of(table.column(gate.column) for table in tables)
    if len(labels) > MOST_LABELS:
        return None, False, f"'{gate.column}' has more than {MOST_LABELS} different values: it is no column of labels"
    shares = shares_of({**dict.fromkeys(gate.labels, 0), **labels}) or dict.fromkeys(gate.labels, 0.0)
    if not shares:
        return None, True, f"'{gate.column}' has no rows"
    rarest, commonest = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
    strange = sorted(set(shares) - set(gate.labels)) if gate.labels else []
    is_low = gate.min is not None and shares[rarest] < gate.min
    is_high = gate.max is not None and shares[commonest] > gate.max
    says = f"'{gate.column}': {rarest} has {shares[rarest]:.2%}, {commonest} {shares[commonest]:.2%}"
    bounds = [f"{word} {bound:.2%}" for word, bound in (("at least", gate.min), ("at most", gate.max)) if bound is not None]
    says += f"; {' and '.join(bounds)} are expected" if bounds else ""
    says += f"; not expected are {', '.join(strange[:5])}" if strange else ""
    return shares[commonest] if is_high else shares[rarest], not (is_low or is_high or strange), says


def _drift(gate: Drift, evidence: Evidence) -> tuple[float | None, bool, str]:
    if evidence.last is None:
        return None, True, "no run to compare with came before"
    now = {column["name"]: column for column in profile_of(evidence.tables).to_json()["columns"]}
    then = {column["name"]: column for column in evidence.last["columns"]}
    names = [name for name in gate.columns or now if name in now and name in then]
    found = {name: apart for name in names if (apart := column_distance(now[name], then[name])) is not None}
    if not found:
        return None, True, f"nothing to compare with run {evidence.last['run_id']}"
    worst = max(found, key=lambda name: found[name])
    says = f"'{worst}' is {found[worst]:.3f} away from run {evidence.last['run_id']}; at most {gate.max:.3f} is expected"
    return found[worst], found[worst] <= gate.max, says


def column_distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float | None:
    """Return how far two columns are apart, by their labels or else their lengths; None where they cannot be compared."""
    if one["labels"] and other["labels"]:
        return distance(shares_of(one["labels"]), shares_of(other["labels"]))
    for measure in ("lengths", "numbers"):
        if one[measure] and other[measure]:
            return distance(Histogram(one[measure]).shares(), Histogram(other[measure]).shares())
    return None


def _breaking(gate: Gate, evidence: Evidence) -> list[Mask]:
    if isinstance(gate, DuplicateRate):
        return _repeating(evidence.tables, gate.columns)
    if isinstance(gate, Length):
        return [_out_of_bounds(table, gate) for table in evidence.tables]
    if isinstance(gate, Contamination):
        known = _pieces_of_set(gate, (evidence.against or {})[gate.against])
        return [_sharing(table, gate, known) for table in evidence.tables]
    raise TypeError(f"no way to judge the rows of {type(gate).__name__}")


def _repeating(tables: Sequence[pa.Table], columns: Sequence[str]) -> list[Mask]:
    import numpy as np

    hashes = [row_hashes(table, columns) for table in tables]
    whole = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    repeats = np.ones(len(whole), np.bool_)
    repeats[np.unique(whole, return_index=True)[1]] = False
    return np.split(repeats, np.cumsum([len(one) for one in hashes])[:-1]) if hashes else []


def _out_of_bounds(table: pa.Table, gate: Length) -> Mask:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table.column(gate.column)
    texts = column if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) else column.cast(pa.string())
    lengths = pc.fill_null(pc.utf8_length(texts), 0).to_numpy()
    mask: Mask = np.zeros(len(lengths), np.bool_)
    if gate.min is not None:
        mask |= lengths < gate.min
    if gate.max is not None:
        mask |= lengths > gate.max
    return mask


def _pieces_of_set(gate: Contamination, rows: Iterable[Mapping[str, Any]]) -> set[int]:
    names = set(gate.against_columns)
    texts = (value for row in rows for name, value in row.items() if isinstance(value, str) and (not names or name in names))
    return {piece for text in texts for piece in _pieces(text, gate.words)}


def _sharing(table: pa.Table, gate: Contamination, known: set[int]) -> Mask:
    import numpy as np

    rows = (row for batch in table.select(list(gate.columns)).to_batches(max_chunksize=PART_ROWS) for row in batch.to_pylist())
    shared = (any(piece in known for value in row.values() for piece in _pieces(str(value or ""), gate.words)) for row in rows)
    return np.fromiter(shared, np.bool_, table.num_rows)


def _pieces(text: str, words: int) -> Iterator[int]:
    """Hash every run of so many words; the whole text where it has fewer, and nothing where it has none."""
    found = _WORD.findall(text.casefold())
    for start in range(max(1, len(found) - words + 1) if found else 0):
        yield xxhash.xxh3_64_intdigest(" ".join(found[start : start + words]).encode("utf-8", "surrogatepass"))
