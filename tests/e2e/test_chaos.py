"""A model that fails in every way at once: every row is accounted for, and nothing that was answered is asked again."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.laws import broken_laws

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

ROWS = 100
CHAOS = SimulatorSettings(
    seed=11,
    record=True,
    latency=0.01,
    latency_jitter=0.01,
    tail_share=0.05,
    tail_latency=0.4,
    error_429_share=0.05,
    retry_after=0.02,
    error_5xx_share=0.05,
    timeout_share=0.02,
    broken_json_share=0.03,
    malformed_share=0.03,
    refusal_share=0.02,
)
"""One call in five fails."""
WELL: dict[str, Any] = dict.fromkeys(("error_429_share", "error_5xx_share", "timeout_share", "broken_json_share"), 0.0)
HASTY = {"SDG_PREFECT_CALL_ATTEMPTS": "2", "SDG_PREFECT_TASK_RETRIES": "0"}
"""So few attempts that some rows fail for a passing reason."""
LASTING = {"ContentFilter", "NothingParsed"}


def asked(model: SimulatedModel, since: int = 0) -> list[tuple[str, int | None]]:
    """Return the prompts that the model was asked, and how each call went."""
    return [(str(call.body["messages"]), call.status) for call in model.journal[since:]]


def assert_rejects_are_those_of_the_report(project: Project, report: dict[str, Any]) -> list[Row]:
    rejects = project.rejects()
    assert len(rejects) == report["rows_rejected"] == len({(reject["block"], reject["row_id"]) for reject in rejects})
    by_block = Counter(reject["block"] for reject in rejects)
    assert {block["name"]: block["rejected"] for block in report["blocks"] if block["rejected"]} == by_block
    return rejects


def test_every_row_is_accounted_for_whatever_goes_wrong(project: Project) -> None:
    project.write("models.yaml", "teacher: {model: teacher, timeout: 1.5}\n")
    project.seeds(ROWS)
    words = ("--shard-size", "10", "--concurrency", "32")
    with SimulatedModel(CHAOS) as model:
        ran = project.run(model.url, *words, **HASTY)
        assert (ran.code, ran.report["status"]) == (1, "completed_with_rejects"), ran.stderr
        assert "Traceback" not in ran.stderr
        assert broken_laws(ran.report) == []
        rejects = assert_rejects_are_those_of_the_report(project, ran.report)
        assert {reject["error"] for reject in rejects} > LASTING
        assert all(reject["transient"] is (reject["error"] not in LASTING) for reject in rejects)
        assert {429, 400, 499, 200} < {status for _, status in asked(model)}
        rows = project.output()
        assert len(rows) == ran.report["rows_out"]

        model.change(**WELL)
        since = len(model.journal)
        well = project.run(model.url, *words, "--allow-rejects", **HASTY)
        assert (well.code, well.report["status"]) == (0, "completed_with_rejects"), well.stderr
        assert broken_laws(well.report) == []
        left = assert_rejects_are_those_of_the_report(project, well.report)
        assert {reject["error"] for reject in left} == LASTING
        passing = [reject for reject in rejects if reject["transient"]]
        documents = {json.loads(reject["row"])["document"] for reject in passing}
        again = [prompt for prompt, _ in asked(model, since)]
        assert all(any(document in prompt for document in documents) for prompt in again)
        assert len(passing) <= len(again) == len(set(again))
        made = project.output()
        assert [row for row in made if row in rows] == rows
        assert len(made) > len(rows)
