"""A context whose model replies what a script says."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks import Block
from sdg_prefect.counts import Counts
from sdg_prefect.frozen import digest
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ROW_ID
from sdg_prefect.testing.script import Replies

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that the block rejected, and why."""

    row_id: str
    row: Mapping[str, Any]
    """The row as it was, without its id."""
    error: str
    message: str
    raw: str = ""
    attempts: int = 1
    transient: bool = False


class ScriptedContext:
    """What a block is given in place of the live context; it keeps everything that the block does with it."""

    def __init__(self, block: Block, table: pa.Table, replies: Replies) -> None:
        """Make the context of a block on some rows.

        Args:
            block: The block.
            table: The rows, with their ids.
            replies: Answers the block's requests.
        """
        self._block = block
        self._table = table
        self._replies = replies
        self.requests: list[Request] = []
        self.rejects: dict[int, Rejected] = {}
        self.counts = Counts()
        self.warnings: list[str] = []
        self.logs: list[str] = []

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Answer from the script."""
        for request in requests:
            if request.model_id not in set(self._block.model_ids()):
                raise TypeError(f"block '{self._block.block_name}' asks '{request.model_id}' but does not name it in model_ids()")
        self.requests.extend(requests)
        answers = [self._replies.answer(request) for request in requests]
        for answer in answers:
            if isinstance(answer, Completion):
                self.counts += Counts(**answer.counted())
        return answers

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        """Keep a row that failed, with its content and the reason."""
        content = self._table.slice(row, 1).to_pylist()[0]
        row_id = content.pop(ROW_ID)
        self.rejects[row] = Rejected(row_id, content, error, message, raw, attempts, transient)

    def note_unparsed(self, choices: int = 1) -> None:
        """Count choices without a result."""
        self.counts += Counts(unparsed=choices)

    def random(self, row_id: str) -> random.Random:
        """Return a generator seeded by the block's key and the row."""
        return random.Random(int(digest(self._block.key({}), row_id, size=8), 16))

    def warn(self, message: str) -> None:
        """Keep a warning."""
        self.warnings.append(message)

    def log(self, message: str) -> None:
        """Keep a line."""
        self.logs.append(message)
