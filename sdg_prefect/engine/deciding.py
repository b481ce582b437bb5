"""What people decided about the rows of a review, as the store knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sdg_prefect.blocks.review import Decision, ReviewBlock
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.frozen import digest
from sdg_prefect.plan.plan import Step
from sdg_prefect.store.reviews import read_decision
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa


def review_id(step: Step, table: pa.Table) -> str:
    """Return what stands for a review and its rows, however they are cut into shards."""
    return digest(step.key, fingerprint(table))


def known_decision(root: Root, step: Step, table: pa.Table) -> Decision | None:
    """Return the decision about rows that is in the store, if it can be carried out."""
    found = read_decision(root, review_id(step, table))
    return None if found is None else checked(found, step, table)[0]


def checked(given: Mapping[str, Any], step: Step, table: pa.Table) -> tuple[Decision | None, str]:
    """Return a decision, or what is wrong with it: neither the UI's form nor a file of the store is believed."""
    assert isinstance(step.block, ReviewBlock)
    try:
        decision = Decision.model_validate(dict(given))
    except ValidationError as error:
        return None, "; ".join(f"'{'.'.join(map(str, one['loc']))}': {one['msg']}" for one in error.errors())
    problems = step.block.problems(decision, table)
    return (None, " ".join(problems)) if problems else (decision, "")


def decided(step: Step, decision: Decision) -> Step:
    """Return a review that knows what was decided; its checkpoint is another one for another decision."""
    assert isinstance(step.block, ReviewBlock)
    key = digest(decision.decision, sorted(decision.drop_rows), decision.drop_where)
    return replace(step, block=step.block.decided(decision), decision=key)
