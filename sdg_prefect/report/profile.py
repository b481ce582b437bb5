"""A profile of rows: lengths, labels, nulls and repetitions of each column, in one pass over tables that may be mapped files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import xxhash

from sdg_prefect.frequencies import Histogram, bucket
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import PART_ROWS, is_reserved

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

MOST_LABELS = 40
"""A column with more different values than this is no column of labels."""
_LONGEST_LABEL = 60
_MIXER = 0x9E3779B97F4A7C15
"""Makes the order of columns count where hashes are put together (Knuth, TAOCP 6.4)."""
_NULL = 0
"""Stands for null among the hashes of values."""
_NAMES = (("p5", 0.05), ("p50", 0.5), ("p95", 0.95))


@dataclass(slots=True)
class ColumnProfile:
    """What there is to say of a column."""

    name: str
    kind: str = ""
    """Its Arrow type."""
    rows: int = 0
    nulls: int = 0
    lengths: Counter[str] = field(default_factory=Counter)
    """Lengths of its texts in characters, or of its lists, by buckets."""
    numbers: Counter[str] = field(default_factory=Counter)
    """Its numbers without their signs, by buckets."""
    least: float | None = None
    most: float | None = None
    """The smallest and greatest length, or number."""
    labels: Counter[str] | None = field(default_factory=Counter)
    """How often each value stands in it; None for a column with many different ones."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        measured = Histogram(self.lengths or self.numbers)
        quantiles = {} if self.numbers else {name: self._within(measured.quantile(share)) for name, share in _NAMES}
        return {
            "name": self.name,
            "type": self.kind,
            "rows": self.rows,
            "nulls": self.nulls,
            "min": self.least,
            "max": self.most,
            **{name: None if value is None else round(value, 1) for name, value in quantiles.items()},
            "lengths": dict(self.lengths),
            "numbers": dict(self.numbers),
            "labels": None if self.labels is None else dict(self.labels.most_common()),
        }

    def _within(self, value: float | None) -> float | None:
        """Keep what was read off a histogram between the smallest and the greatest."""
        if value is None or self.least is None or self.most is None:
            return None
        return min(max(value, self.least), self.most)


@dataclass(slots=True)
class Profile:
    """What there is to say of all rows."""

    rows: int = 0
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    """By text column: how many values are those of an earlier row."""
    whole_repeats: int | None = None
    """Rows that are equal to an earlier one in all columns; None where shards have different ones."""

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        columns = [{**column.to_json(), "repeats": self.repeats.get(name)} for name, column in self.columns.items()]
        return {"rows": self.rows, "repeats": self.whole_repeats, "columns": columns}


def profile_of(tables: Iterable[pa.Table]) -> Profile:
    """Look at all rows, of which at most 10,000 at a time are Python values; 8 bytes of each text stay until the end."""
    profile = Profile()
    hashes: dict[str, list[npt.NDArray[np.uint64]]] = {}
    for table in tables:
        for name in table.column_names:
            if not is_reserved(name):
                profile.columns.setdefault(name, ColumnProfile(name))
        for batch in table.to_batches(max_chunksize=PART_ROWS):
            profile.rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if not is_reserved(name):
                    _look(profile.columns[name], column)
                    hashes.setdefault(name, []).append(_hashes(column))
    for column in profile.columns.values():
        if column.labels is not None and len(column.labels) > max(1, column.rows // 2):
            column.labels = None
    _count_repeats(profile, hashes)
    return profile


def _look(known: ColumnProfile, column: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    known.kind = known.kind if known.kind not in ("", "null") else str(kind)
    known.rows += len(column)
    known.nulls += column.null_count
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _measure(known, known.lengths, pc.utf8_length(column))
        _count_labels(known, column)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        _measure(known, known.lengths, pc.list_value_length(column))
        known.labels = None
    elif pa.types.is_boolean(kind):
        _count_labels(known, column)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        _measure(known, known.numbers, column)
        _count_labels(known, column)
    elif not pa.types.is_null(kind):
        known.labels = None


def _measure(known: ColumnProfile, into: Counter[str], values: pa.Array) -> None:
    """Put numbers into buckets; infinities and NaN are passed over."""
    import numpy as np

    numbers = values.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return
    least, most = float(numbers.min()), float(numbers.max())
    known.least = least if known.least is None else min(known.least, least)
    known.most = most if known.most is None else max(known.most, most)
    found, counts = np.unique(np.abs(numbers), return_counts=True)
    for number, count in zip(found.tolist(), counts.tolist(), strict=True):
        into[bucket(number)] += count


def _count_labels(known: ColumnProfile, column: pa.Array) -> None:
    """Count the values of a column, until it turns out to be none of labels."""
    if known.labels is None:
        return
    known.labels += labels_of([column])
    if len(known.labels) > MOST_LABELS or max(map(len, known.labels), default=0) > _LONGEST_LABEL:
        known.labels = None


def labels_of(columns: Iterable[pa.Array | pa.ChunkedArray]) -> Counter[str]:
    """Count the values of a column, as texts; of more than ``MOST_LABELS`` only so many that they show it.

    Args:
        columns: The column, in parts.
    """
    found: Counter[str] = Counter()
    for column in columns:
        for entry in column.value_counts():
            value, count = entry["values"].as_py(), entry["counts"].as_py()
            found["null" if value is None else str(value)] += count
            if len(found) > MOST_LABELS:
                return found
    return found


def _hashes(column: pa.Array) -> npt.NDArray[np.uint64]:
    """Hash each value to 64 bits (XXH3)."""
    import numpy as np

    return np.fromiter(map(_hash, column.to_pylist()), np.uint64, len(column))


def row_hashes(table: pa.Table, columns: Sequence[str] = ()) -> npt.NDArray[np.uint64]:
    """Hash each row to 64 bits by its values in some columns, or in all."""
    import numpy as np

    names = columns or [name for name in table.column_names if not is_reserved(name)]
    mixed: npt.NDArray[np.uint64] = np.zeros(table.num_rows, np.uint64)
    for name in names:
        parts = [_hashes(chunk) for chunk in table.column(name).chunks]
        mixed = _mixed(mixed, np.concatenate(parts) if parts else mixed)
    return mixed


def _mixed(hashes: npt.NDArray[np.uint64], more: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    import numpy as np

    return (hashes * np.uint64(_MIXER)) ^ more


def _hash(value: Any) -> int:
    if value is None:
        return _NULL
    if isinstance(value, str):
        return xxhash.xxh3_64_intdigest(value.encode("utf-8", "surrogatepass"))
    return xxhash.xxh3_64_intdigest(canonical({"": value}))


def _count_repeats(profile: Profile, hashes: Mapping[str, list[npt.NDArray[np.uint64]]]) -> None:
    """Count equal hashes, column by column and of all columns together."""
    import numpy as np

    mixed: npt.NDArray[np.uint64] | None = np.zeros(profile.rows, np.uint64)
    for name, parts in hashes.items():
        column = profile.columns[name]
        whole = np.concatenate(parts)
        if column.lengths and column.labels is None:
            known = whole[whole != _NULL]
            profile.repeats[name] = len(known) - len(np.unique(known))
        mixed = _mixed(mixed, whole) if mixed is not None and len(whole) == len(mixed) else None
    if mixed is not None:
        profile.whole_repeats = profile.rows - len(np.unique(mixed))


def label_shares(column: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the labels of a column, as its JSON has it, with their shares of all rows."""
    for label, count in (column.get("labels") or {}).items():
        yield label, count / max(1, column["rows"])
