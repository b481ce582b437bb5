"""Rejected rows as a dataset: each as it was when it failed, with the reason beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.store.writers import json_text

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "reject_"
"""Begins the names of the columns with the reason: a row may have columns of its own named ``error`` or ``message``."""
_REASONS = ("row_id", "block", "error", "message", "attempts", "transient", "cost_usd", "raw")


def rejects_table(rejects: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make a table of rejects as a run keeps them: the columns of the rows, then those of the reasons.

    Rows that failed at different blocks have different columns; where they differ in the type of one, that is written as JSON.
    """
    import pyarrow as pa

    rows = [json.loads(reject["row"]) for reject in rejects]
    names = dict.fromkeys(name for row in rows for name in row if not name.startswith(PREFIX))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    reasons = [name for name in _REASONS if any(name in reject for reject in rejects)]
    return pa.table(columns | {f"{PREFIX}{name}": _column([reject.get(name) for reject in rejects]) for name in reasons})


def _column(values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([None if value is None else value if isinstance(value, str) else json_text(value) for value in values])
