"""What can go wrong, as values that know where it is and what to do about it."""

from __future__ import annotations

import difflib
import errno
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about something that a user wrote."""

    message: str
    """What is wrong, in one sentence."""
    hint: str = ""
    """What to do about it; empty where the message says it."""
    file: str = ""
    """The file, as the user named it."""
    line: int = 0
    """The line in that file, from 1; 0 where there is none."""
    warning: bool = False
    """A warning does not stop the run."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}  " if self.file and self.line else f"{self.file}  " if self.file else ""
        kind = "warning: " if self.warning else ""
        return " ".join(f"{place}{kind}{self.message} {self.hint}".rstrip().split("\n"))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems file by file and line by line, each once; the file of the first problem comes first."""
    found = list(dict.fromkeys(problems))
    files = list(dict.fromkeys(problem.file for problem in found))
    return tuple(sorted(found, key=lambda problem: (files.index(problem.file), problem.line or sys.maxsize)))


class SdgError(Exception):
    """The root of everything that sdg_prefect raises on purpose: a message for people and a hint."""

    exit_code = 1
    run_status = "failed"
    """What the report says of a run that the error ends."""
    report: Any = None
    """The report of the run that the error ended, where there was one."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def __reduce__(self) -> tuple[type[SdgError], tuple[Any, ...]]:
        return type(self), (self.message, self.hint)


class FlowError(SdgError):
    """The flow, its files or the command line are wrong; nothing was run. Carries every problem found."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str, hint: str = "") -> None:
        found = (Problem(problems, hint),) if isinstance(problems, str) else in_order(problems)
        super().__init__("\n".join(str(problem) for problem in found))
        self.problems = found

    def __reduce__(self) -> tuple[type[SdgError], tuple[Any, ...]]:
        return type(self), (self.problems,)


class InputError(FlowError):
    """The seeds cannot be read, or are not what the flow needs."""


class NoSeeds(InputError):
    """There are no seeds where they were looked for: a pattern that nothing matches, or a file without rows."""


class EndpointError(SdgError):
    """The endpoint cannot serve this run at all: gone, wrong key, no quota, unknown model."""


class TransientError(SdgError):
    """Calls failed that may succeed later; what arrived is kept, and a retry asks only for the rest."""


class RejectedRows(SdgError):
    """A run finished, but rejected rows that nobody allowed."""

    def __init__(self, rejected: int, run_id: str, dataset: Any) -> None:
        super().__init__(f"{rejected} row(s) were rejected in run {run_id}.", "Pass allow_rejects=True to take the others.")
        self.rejected = rejected
        self.run_id = run_id
        self.dataset = dataset
        """The rows that were made."""

    def __reduce__(self) -> tuple[type[SdgError], tuple[Any, ...]]:
        return RejectedRows, (self.rejected, self.run_id, self.dataset)


class TargetMissed(SdgError):
    """A run finished with fewer rows than were wanted, after as many candidates as it may try."""

    def __init__(self, rows: int, wanted: int, candidates: int, dataset: Any) -> None:
        message = f"{rows:,} of {wanted:,} rows came out of {candidates:,} candidates."
        super().__init__(message, "The same call with a higher max_candidates goes on; allow_missed=True takes what there is.")
        self.rows = rows
        self.wanted = wanted
        self.candidates = candidates
        self.dataset = dataset
        """The rows that were made."""

    def __reduce__(self) -> tuple[type[SdgError], tuple[Any, ...]]:
        return TargetMissed, (self.rows, self.wanted, self.candidates, self.dataset)


class Interrupted(KeyboardInterrupt):
    """A run was stopped; the same call goes on from there. Not an SdgError: what handles failures lets it pass."""

    def __init__(self, report: Any = None, *, is_left_behind: bool = False) -> None:
        super().__init__("The run was stopped.")
        self.report = report
        """How far it came; None if it had not begun."""
        self.is_left_behind = is_left_behind
        """True if something did not end in time and may still be at work."""


class BudgetReached(SdgError):
    """A run stopped because its budget is used up; the same call with a higher one goes on from there."""

    run_status = "stopped_by_budget"


class ReviewStopped(SdgError):
    """A run stopped at a review: a person decided so, or nobody decided; the same call goes on from there."""

    run_status = "stopped_by_review"


class ReviewPending(SdgError):
    """Rows of a deployed run wait for a person, and no process does; a worker goes on from there once there is a decision."""

    run_status = "suspended"


class ExpectationError(SdgError):
    """The rows of a run are not what its flow expects, and the gate says that the run fails."""


class ConservationError(SdgError):
    """A block lost or invented rows: rows in ≠ rows that gave rows + filtered + deduplicated + rejected."""


class StoreError(SdgError):
    """The store cannot be read or written."""


def as_store_error(error: SdgError | OSError) -> SdgError:
    """Return an error that says what to do where a disk is full."""
    failure = error if isinstance(error, SdgError) else StoreError(f"the store cannot be used: {error}.")
    causes: list[BaseException | None] = [error, error.__cause__, error.__context__]
    if any(isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT) for cause in causes):
        failure.hint = "Free some space; the same command goes on from here."
    return failure


class BlockError(SdgError):
    """A block failed on a shard for a reason that is neither a call nor a row."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the nearest known word, the list when it is short, or nothing."""
    names = sorted({str(name) for name in known})
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    # Letters in another order are the most usual slip.
    near.sort(key=lambda name: sorted(name) != sorted(word))
    if near:
        return f"Did you mean '{near[0]}'?"
    if 0 < len(names) <= 12:
        return f"Known: {', '.join(names)}."
    return ""
