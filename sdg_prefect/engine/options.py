"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of ``run``; see the command line for what each means."""

    flow: str | Path
    input: Any = None
    """A path or address, or a Dataset, list of mappings or data frame."""
    output: str | None = None
    models_file: str | Path | None = None
    model: str | None = None
    api_base: str | Sequence[str] | None = None
    api_key_env: str | None = None
    storage: str | None = None
    concurrency: int | None = None
    shard_size: int | None = None
    limit: int | None = None
    overrides: Sequence[str] = ()
    fresh: bool = False
    retry_rejects: bool = False
    """Try the rows that earlier runs rejected again."""
    allow_rejects: bool = False
    keep_ids: bool = False
    budget: float | None = None
    """US dollars that all runs of the flow on the store may cost; the flow's own budget where not given."""
    budget_tokens: int | None = None
