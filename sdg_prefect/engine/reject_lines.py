"""A line for the log about the rows that a block rejected on a shard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sdg_prefect.store.checkpoints import Reject

_SHOWN_CLASSES = 5
_SHOWN_IDS = 3


def rejects_line(rejects: Sequence[Reject], rows: int) -> str:
    """Say how many rows were rejected for which class of error, and which the first of each are. Tells nothing of their content.

    Args:
        rejects: The rejected rows.
        rows: How many rows there were.
    """
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for reject in rejects:
        ids[reject.error].append(reject.row_id)
    classes = sorted(ids.items(), key=lambda one: (-len(one[1]), one[0]))
    told = [f"{error} {len(which):,} ({_first(which)})" for error, which in classes[:_SHOWN_CLASSES]]
    if more := sum(len(which) for _, which in classes[_SHOWN_CLASSES:]):
        told.append(f"others {more:,}")
    return f"{len(rejects):,} of {rows:,} rows rejected: {', '.join(told)}"


def _first(ids: Sequence[str]) -> str:
    more = ", …" if len(ids) > _SHOWN_IDS else ""
    return f"row{'s' * (len(ids) > 1)} {', '.join(ids[:_SHOWN_IDS])}{more}"
