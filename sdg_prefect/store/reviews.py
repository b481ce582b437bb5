"""Reviews: rows that wait, or waited, for a person's decision, ``reviews/<id>/``. The id stands for the rows and the block."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sdg_prefect.store.listing import read_files
from sdg_prefect.store.root import Root

_FOLDER = "reviews"
_ASKED = "asked.json"
_DECISION = "decision.json"


@dataclass(frozen=True, slots=True)
class Review:
    """What a person is asked."""

    review_id: str
    run_id: str
    """The run that asked last."""
    flow: str
    block: str
    question: str
    rows: int
    """How many rows wait."""
    columns: Sequence[str]
    shown: Sequence[Mapping[str, Any]]
    """Some of the rows, with their ids."""
    asked_at: float
    """When, in Unix time."""
    ui_url: str = ""
    """The run in Prefect's UI."""
    flow_run_id: str = ""
    """The flow run that waits without a process, until somebody resumes it; empty where a process waits."""
    problem: str = ""
    """What was wrong with the decision that was given before."""


def write_review(root: Root, review: Review) -> None:
    """Write what a person is asked."""
    content = json.dumps(asdict(review), ensure_ascii=False, default=str)
    root.write(content.encode("utf-8", "replace"), _FOLDER, review.review_id, _ASKED)


def write_decision(root: Root, review_id: str, decision: Mapping[str, Any]) -> None:
    """Write a decision; one that is there already is replaced."""
    root.write(json.dumps(decision, ensure_ascii=False).encode(), _FOLDER, review_id, _DECISION)


def forget_decision(root: Root, review_id: str) -> None:
    """Remove a decision that cannot be carried out."""
    root.filesystem.rm_file(root.path(_FOLDER, review_id, _DECISION))


def read_decision(root: Root, review_id: str) -> dict[str, Any] | None:
    """Read the decision on a review; None as long as there is none."""
    try:
        decision: dict[str, Any] = json.loads(root.read(_FOLDER, review_id, _DECISION))
    except FileNotFoundError:
        return None
    return decision


def read_reviews(root: Root) -> list[tuple[Review, dict[str, Any] | None]]:
    """Read all reviews with the decisions on them, the one that was asked last at the end."""
    folder = root.path(_FOLDER)
    root.filesystem.invalidate_cache(folder)
    if not root.exists(_FOLDER):
        return []
    ids = [entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in root.filesystem.ls(folder, detail=True)]
    files = read_files(root, [f"{_FOLDER}/{one}/{name}" for one in ids for name in (_ASKED, _DECISION)])
    read = {path: json.loads(content) for path, content in files.items()}
    found = [
        (Review(**read[f"{_FOLDER}/{one}/{_ASKED}"]), read.get(f"{_FOLDER}/{one}/{_DECISION}"))
        for one in ids
        if f"{_FOLDER}/{one}/{_ASKED}" in read
    ]
    return sorted(found, key=lambda one: one[0].asked_at)
