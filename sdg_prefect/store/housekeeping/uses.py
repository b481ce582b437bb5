"""What each run uses of its store, as it has written it down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.store.runs import read_uses

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root


@dataclass(frozen=True, slots=True)
class Uses:
    """What a run uses. A run that was killed has said what it may use, not what it did use."""

    flow: str
    block_keys: Mapping[str, str] = field(default_factory=dict)
    """The blocks by the key under which their checkpoints are: name and type, for people."""
    ledger_keys: Mapping[str, str] = field(default_factory=dict)
    """The blocks by the key under which their completions are: name and type, for people."""
    input: str = ""
    """Folder of the seeds' shards."""
    checkpoints: tuple[str, ...] | None = None
    """Folders of the checkpoints that it made or found; None as long as the run has not ended."""


def read_uses_of(root: Root, run_ids: Iterable[str]) -> dict[str, Uses | None]:
    """Read what runs use; None for a run that did not come so far as to say it."""
    asked = list(run_ids)
    known = read_uses(root, asked)
    return {run_id: _parsed(known.get(run_id)) for run_id in asked}


def _parsed(known: Mapping[str, Any] | None) -> Uses | None:
    if known is None:
        return None
    try:
        steps = [(step, f"{step['name']} ({step['type']})") for step in known["steps"]]
        made = known.get("checkpoints")
        return Uses(
            flow=str(known["flow"]),
            block_keys={step["key"]: name for step, name in steps},
            ledger_keys={step["ledger_key"]: name for step, name in steps if step["ledger_key"]},
            input=str(known["input"]),
            checkpoints=None if made is None else tuple(made),
        )
    except (KeyError, TypeError):
        return None
