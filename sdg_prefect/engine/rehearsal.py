"""A block at work without a model: the ledger answers what it knows, the rest is counted."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.counts import Counts
from sdg_prefect.engine.doing import do, row_random
from sdg_prefect.errors import SdgError
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.ledger.completions import ReadLedger

if TYPE_CHECKING:
    import pyarrow as pa

_NOT_ASKED = "NotAsked"


@dataclass(frozen=True, slots=True)
class Unasked:
    """Requests that the ledger cannot answer."""

    calls: int = 0
    characters: int = 0
    """Of their prompts."""
    wide_characters: int = 0
    """Of these, the ones outside ASCII, which take more tokens."""
    most_tokens_out: int | None = 0
    """What all replies may have at most; None where nothing bounds them."""

    def __add__(self, other: Unasked) -> Unasked:
        most = (
            None
            if self.most_tokens_out is None or other.most_tokens_out is None
            else self.most_tokens_out + other.most_tokens_out
        )
        return Unasked(
            self.calls + other.calls, self.characters + other.characters, self.wide_characters + other.wide_characters, most
        )


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a block would do with some rows."""

    parts: Sequence[pa.Table]
    """Its output, as far as the ledger gives it."""
    replayed: int
    """Requests that the ledger answers."""
    unasked: Unasked
    rows_open: int
    """Input rows whose output depends on replies to come."""


def rehearse(
    step: Step, table: pa.Table, content: str, endpoints: Mapping[str, Endpoint], ledger: ReadLedger | None
) -> Rehearsed | None:
    """Let a block do its work as far as that is possible without a call; None where it cannot."""
    context = RehearsalContext(step, table, content, endpoints, ledger)
    try:
        parts, _ = do(step, table, context)
    except SdgError:
        return None
    waiting = sum(reject.error == _NOT_ASKED for reject in context.rejects.values())
    return Rehearsed(parts, context.counts.replayed, context.unasked, waiting)


@dataclass(frozen=True, slots=True)
class _Reject:
    row_id: str
    error: str


@dataclass
class RehearsalContext:
    """The context of a block that is given what the ledger knows, and nothing else."""

    step: Step
    table: pa.Table
    content: str
    endpoints: Mapping[str, Endpoint]
    ledger: ReadLedger | None
    rejects: dict[int, _Reject] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    unasked: Unasked = field(default_factory=Unasked)

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Answer what the ledger knows."""
        keys = [request.key(self.endpoints[request.model_id].identity) for request in requests]
        known = self.ledger.find(self.content, keys) if self.ledger is not None else {}
        self.counts += Counts(replayed=sum(key in known for key in keys))
        return [
            Completion.from_record(known[key]) if key in known else self._leave(request)
            for key, request in zip(keys, requests, strict=True)
        ]

    def _leave(self, request: Request) -> Failure:
        text = "".join(_texts(request.asked))
        wide = sum(not character.isascii() for character in text) if not text.isascii() else 0
        params = {**self.endpoints[request.model_id].params, **request.params}
        most = params.get("max_completion_tokens") or params.get("max_tokens")
        most = int(str(most)) * int(str(params.get("n") or 1)) if most else None
        self.unasked += Unasked(1, len(text), wide, most)
        return Failure(_NOT_ASKED, "not asked yet", transient=True)

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        """Remember the row."""
        self.rejects[row] = _Reject(self.table.column(ROW_ID)[row].as_py(), error)

    def note_unparsed(self, choices: int = 1) -> None:
        """Nothing is counted here that a report would show."""

    def random(self, row_id: str) -> random.Random:
        """Return the generator that a run would give."""
        return row_random(self.step, row_id)

    def warn(self, message: str) -> None:
        """Rows that are only guessed at are nothing to warn of."""

    def log(self, message: str) -> None:
        """Nothing is logged before a run."""


def _texts(value: Any) -> list[str]:
    """Return the texts in messages, those inside of content parts included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for name, part in value.items() if name not in ("role", "type") for text in _texts(part)]
    if isinstance(value, Sequence):
        return [text for part in value for text in _texts(part)]
    return []
