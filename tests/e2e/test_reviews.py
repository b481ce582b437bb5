"""A run that waits for a person: asked in Prefect's UI and on the command line, and never twice about the same rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.errors import ReviewStopped
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.test_dead_runs import api
from tests.e2e.test_steering import artifact, resume

if TYPE_CHECKING:
    from tests.e2e.commands import Started
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

FLOW = """\
name: gated
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: ReviewBlock
  block_config: {block_name: check, question: "Is any of them rude?", show: [document], sample: 3}
- block_type: LLMBlock
  block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
"""
ROWS = 6


@pytest.fixture
def gated(project: Project) -> Project:
    """A folder whose flow has a review between two blocks that ask a model."""
    project.write("flow.yaml", FLOW)
    project.seeds(ROWS)
    return project


def flow_run(run_id: str) -> dict[str, Any]:
    """Return what Prefect shows of a run."""
    found: list[dict[str, Any]] = api("flow_runs/filter", {"flow_runs": {"name": {"any_": [f"gated {run_id}"]}}})
    return found[0] if found else {"state_name": ""}


def waiting(project: Project, run: Started) -> dict[str, Any]:
    """Wait until a run waits for a decision, in the UI too, and return what is asked."""
    asked: list[dict[str, Any]] = []

    def waits() -> bool:
        asked[:] = [json.loads(path.read_text("utf-8")) for path in project.store.glob("reviews/*/asked.json")]
        return bool(asked) and flow_run(asked[0]["run_id"])["state_name"] == "Waits for review"

    run.wait_for(waits, "the review")
    return asked[0]


def test_a_person_decides_in_the_ui_and_is_asked_again_if_that_cannot_be_done(gated: Project, model: SimulatedModel) -> None:
    run = gated.start(model.url, "--shard-size", "2")
    asked = waiting(gated, run)
    shown = flow_run(asked["run_id"])
    assert model.stats()["completions"] == ROWS
    assert (asked["rows"], len(asked["shown"]), list(asked["shown"][0])) == (ROWS, 3, ["row id", "document"])
    assert "6 rows of block 'check' wait for a decision" in shown["state"]["message"]
    assert asked["shown"][0]["row id"] in artifact(shown["id"], "gated-review-check")

    assert resume(shown["id"], {"decision": "perhaps"})["status"] == "REJECT"
    assert resume(shown["id"], {"decision": "drop", "drop_rows": ["nobody"]})["status"] == "ACCEPT"
    run.wait_for(lambda: "no row has the id nobody" in run.said(), "the second question")
    run.wait_for(lambda: flow_run(asked["run_id"])["state_name"] == "Waits for review", "the second pause")
    dropped = asked["shown"][1]["row id"]
    answer = {"decision": "drop", "drop_rows": [dropped], "drop_where": "'Island 5 ' in document", "note": "too dull"}
    assert resume(shown["id"], answer)["status"] == "ACCEPT"
    ran = run.wait()
    assert (ran.code, ran.report["rows_filtered"], len(gated.output())) == (0, 2, ROWS - 2), ran.stderr
    assert model.stats()["completions"] == 2 * ROWS - 2
    (told,) = ran.report["reviews"]
    assert (told["block"], told["rows"], told["decision"], told["note"], told["by"]) == (
        "check",
        6,
        "drop",
        "too dull",
        "Prefect's UI",
    )
    assert {one["state_name"] for one in [flow_run(asked["run_id"])]} == {"Completed"}

    # Another size of shards cuts the same rows, and nobody is asked again.
    again = gated.run(model.url, "--shard-size", "6")
    assert (again.code, len(gated.output()), model.stats()["completions"]) == (0, ROWS - 2, 2 * ROWS - 2), again.stderr
    assert again.report["reviews"] == ran.report["reviews"]


def test_a_person_decides_on_the_command_line(gated: Project, model: SimulatedModel) -> None:
    run = gated.start(model.url)
    asked = waiting(gated, run)
    look = gated.command("review", "--storage", "store").wait()
    assert look.code == 0
    assert look.stdout.splitlines()[0].startswith(f"{asked['shown'][0]['row id']}  document: Island 0")
    assert "Is any of them rude?" in look.stderr
    wrong = gated.command("review", asked["run_id"], "--storage", "store", "--drop-where", "documen == 1").wait()
    assert (wrong.code, "Did you mean 'document'?" in wrong.stderr) == (2, True)
    done = gated.command("review", asked["run_id"], "--storage", "store", "--drop-where", "'Island 0 ' in document").wait()
    assert done.code == 0, done.stderr
    ran = run.wait()
    assert (ran.code, len(gated.output()), ran.report["reviews"][0]["by"]) == (0, ROWS - 1, "the command line"), ran.stderr
    assert flow_run(asked["run_id"])["state_name"] == "Completed"


def test_a_run_that_waits_for_nobody_says_how_to_decide_and_goes_on_after_that(gated: Project, model: SimulatedModel) -> None:
    stopped = gated.run(model.url, "--reviews", "stop")
    assert (stopped.code, stopped.report["status"], stopped.report["rows_out"]) == (1, "stopped_by_review", 0)
    assert (
        "6 rows wait for a decision, and this run waits for nobody. Look and decide: python -m sdg_prefect review"
        in stopped.stderr
    )
    assert flow_run(stopped.report["run_id"])["state_name"] == "Stopped by review"
    (review,) = gated.store.glob("reviews/*")
    gated.write(f"store/reviews/{review.name}/decision.json", '{"decision": "drop", "drop_rows": ["nobody"]}')
    assert "cannot be carried out: no row has the id nobody" in gated.run(model.url, "--reviews", "stop").stderr
    assert "no row has the id nobody" in gated.command("review", "--storage", "store").wait().stderr
    assert gated.command("review", "--storage", "store", "--stop", "--note", "rude").wait().code == 0
    decided = gated.run(model.url)
    assert (decided.code, "decided to stop the run (rude)" in decided.stderr) == (1, True)
    assert gated.command("review", "--storage", "store", "--approve").wait().code == 0
    assert gated.run(model.url).report["rows_out"] == ROWS
    assert model.stats()["completions"] == 2 * ROWS


def test_rows_that_are_approved_beforehand_are_recorded_as_such(gated: Project, model: SimulatedModel) -> None:
    with pytest.raises(ReviewStopped):
        gated.generate(gated.documents(ROWS), model.url, reviews="stop")
    assert len(gated.generate(gated.documents(ROWS), model.url, reviews="approve")) == ROWS
    assert gated.report()["reviews"][0]["by"] == "--reviews approve"
    plan = gated.command("plan", "flow.yaml", "--input", "seeds.jsonl", "--storage", "store", "--api-base", model.url).wait()
    assert plan.code == 0
    assert model.stats()["completions"] == 2 * ROWS
