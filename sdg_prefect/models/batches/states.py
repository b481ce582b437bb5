"""What a provider says about a batch, and what the lines of its results mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sdg_prefect.models.failures import CallError, Reach, Verdict, judge, status_of

MARKER = "sdg_prefect"
"""The field of a batch's metadata by which it is found again."""
QUEUE_FULL = "token_limit_exceeded"
"""Said by a provider that takes no more requests for now, or none so large."""

_ENDED = ("completed", "failed", "expired", "cancelled")
_EXPIRED = Verdict(Reach.CALL, "BatchExpired")
_CANCELLED = Verdict(Reach.CALL, "BatchCancelled")
_UNANSWERED = Verdict(Reach.CALL, "BrokenReply")
_NOT_EXECUTED = {"batch_expired": _EXPIRED, "batch_cancelled": _CANCELLED}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a provider did not take a batch."""

    code: str
    message: str
    line: int | None
    """The line of its file, from 1, where it is about one."""


@dataclass(frozen=True, slots=True)
class State:
    """A batch, as its provider sees it."""

    id: str
    status: str
    marker: str
    created: float
    """Unix time; 0 where it is not told."""
    files: tuple[str, ...]
    """Files with results and with errors."""
    total: int
    done: int
    failed: int
    problems: tuple[Problem, ...]

    @property
    def has_ended(self) -> bool:
        """True if nothing more will come."""
        return self.status in _ENDED

    @property
    def counts(self) -> str:
        """How far it is, for people."""
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.status}, {self.done:,} of {self.total:,} done{failed}" if self.total else self.status


def read_state(body: Any) -> State:
    """Read the description of a batch.

    Raises:
        CallError: It is not one.
    """
    if not isinstance(body, Mapping) or not body.get("id"):
        raise CallError(_UNANSWERED, "the endpoint's reply does not describe a batch")
    counts, metadata = _object(body, "request_counts"), _object(body, "metadata")
    errors = _object(body, "errors").get("data") or ()
    return State(
        id=str(body["id"]),
        status=str(body.get("status") or ""),
        marker=str(metadata.get(MARKER) or ""),
        created=float(body.get("created_at") or 0),
        files=tuple(str(body[name]) for name in ("output_file_id", "error_file_id") if body.get(name)),
        total=int(counts.get("total") or 0),
        done=int(counts.get("completed") or 0),
        failed=int(counts.get("failed") or 0),
        problems=tuple(_problem(error) for error in errors if isinstance(error, Mapping)),
    )


def _problem(error: Mapping[str, Any]) -> Problem:
    line = error.get("line")
    return Problem(str(error.get("code") or ""), str(error.get("message") or ""), line if isinstance(line, int) else None)


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def not_executed(error: Any) -> CallError:
    """Return the failure of a request that was not executed, from its line in a file of results."""
    said = error if isinstance(error, Mapping) else {}
    code, message = str(said.get("code") or ""), str(said.get("message") or "the provider did not execute it")
    return CallError(_NOT_EXECUTED.get(code) or judge(status_of(said.get("code"), 500), f"{message} {code}"), message)


def unanswered(state: State) -> CallError:
    """Return the failure of a request that the results of an ended batch say nothing of."""
    verdict = {"expired": _EXPIRED, "cancelled": _CANCELLED}.get(state.status, _UNANSWERED)
    return CallError(verdict, f"the batch ended as {state.status} without an answer to it")


def refused(state: State, keys: tuple[str, ...]) -> dict[str, CallError]:
    """Say what a batch that was not taken means for its requests: lines that are wrong cost their rows, and no others.

    Args:
        state: The batch.
        keys: The keys of its lines, in their order.
    """
    wrong = {problem.line - 1: problem for problem in state.problems if problem.line and problem.line <= len(keys)}
    said = "; ".join(dict.fromkeys(problem.message or problem.code for problem in state.problems)) or "it did not say why"
    code = " ".join(problem.code for problem in state.problems)
    if not wrong:
        hint = judge(402, said).hint if "billing" in code else "Mend that, or leave 'mode: batch' away."
        return dict.fromkeys(keys, CallError(Verdict(Reach.RUN, "BatchRefused", hint), f"the provider refuses the batch: {said}"))
    others = CallError(_CANCELLED, "the provider refuses a batch for other requests in it")
    lines = {keys[place]: CallError(Verdict(Reach.ROW, "BadRequest"), problem.message) for place, problem in wrong.items()}
    return dict.fromkeys(keys, others) | lines
