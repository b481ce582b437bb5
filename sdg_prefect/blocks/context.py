"""What is live while a block runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from sdg_prefect.models.completion import Completion, Failure, Request


class Context(Protocol):
    """Given to ``Block.run``. Its methods block until they are done; concurrency is its own business."""

    def complete(self, requests: Sequence[Request]) -> Sequence[Completion | Failure]:
        """Ask models, all at once, and return the answers in the order of the requests.

        Each completion is durable before this returns. What was asked before, in this run or an earlier one, is not paid again.
        """
        ...

    def reject(self, row: int, error: str, message: str, *, raw: str = "", attempts: int = 1, transient: bool = False) -> None:
        """Say that a row failed.

        Args:
            row: Its place among the rows that the block was given, from 0.
            error: Class of the error, in one CamelCase word.
            message: What happened, for a person.
            raw: What the model replied, if it did.
            attempts: How often it was tried.
            transient: True where the same row may succeed later.
        """
        ...

    def note_unparsed(self, choices: int = 1) -> None:
        """Count choices in which the parser found nothing, of a row that gives rows all the same."""
        ...

    def random(self, row_id: str) -> random.Random:
        """Return a generator of random numbers that depends on the block and the row only, not on shards or time."""
        ...

    def warn(self, message: str) -> None:
        """Say what a user should know of the rows as a whole, in a sentence of 200 characters at most.

        The run says it once, and its report shows it among the warnings, also where the block's work was done by an earlier run.
        """
        ...

    def log(self, message: str) -> None:
        """Write one line to the run's log. For what concerns the shard; never per row."""
        ...
