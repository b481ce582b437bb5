"""What a run leaves on Prefect's server: flows, runs, tasks, edges, artifacts and logs, and what it does without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.errors import SdgError
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.history import History, states

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

NESTED = """\
name: nested
models:
  teacher: {model: simulated/teacher}
pipelines:
- name: outer
  blocks:
  - block_type: DuplicateColumns
    block_config: {block_name: copy, columns_map: {document: kept}}
  - block_type: PipelineBlock
    block_config:
      block_name: middle
      blocks:
      - block_type: PipelineBlock
        block_config: {block_name: innermost, flow: innermost.yaml}
- name: rounds
  blocks:
  - block_type: IterBlock
    block_config:
      block_name: twice
      num_iters: 2
      block_type: PipelineBlock
      block_kwargs:
        blocks:
        - block_type: RenameColumns
          block_config: {block_name: rename, columns_map: {again: more}}
  - block_type: IterBlock
    block_config:
      block_name: thrice
      num_iters: 3
      block_type: LLMBlock
      block_kwargs: {config_path: ask.yaml, model_id: teacher, output_cols: [question]}
"""
INNERMOST = """\
- block_type: DuplicateColumns
  block_config: {block_name: copy_again, columns_map: {kept: again}}
"""


def test_a_yaml_file_is_a_flow_and_a_pipeline_a_subflow(project: Project, model: SimulatedModel, history: History) -> None:
    project.generate(project.documents(4), model.url, shard_size=2)
    report = project.report()
    whole = history.run(report)
    assert history.flow_name(whole) == "small"
    assert report["ui_url"].endswith(whole["id"])
    assert history.tree(whole) == {
        "questions": {"ask [1/2]": None, "ask [2/2]": None},
        "answers": {"reply [1/2]": None, "reply [2/2]": None},
    }
    assert [history.flow_name(one) for one in history.subflows(whole)] == ["small.questions", "small.answers"]
    assert states(history.family(whole)) == {("COMPLETED", "Completed")}
    assert states(history.all_tasks(report)) == {("COMPLETED", "Completed")}


def test_a_task_run_says_its_block_and_its_model(project: Project, model: SimulatedModel, history: History) -> None:
    project.generate(project.documents(2), model.url)
    for task in history.all_tasks(project.report()):
        assert {"LLMBlock", "teacher"} <= set(task["tags"])


def test_a_shard_is_tied_to_the_shards_that_it_comes_from(project: Project, model: SimulatedModel, history: History) -> None:
    project.write("flow.yaml", ONE_PIPELINE)
    project.generate(project.documents(4), model.url, shard_size=2)
    tasks = {task["name"]: task for task in history.all_tasks(project.report())}
    names = {task["id"]: name for name, task in tasks.items()}
    edges = {
        (names[source["id"]], name)
        for name, task in tasks.items()
        for sources in task["task_inputs"].values()
        for source in sources
        if source["input_type"] == "task_run"
    }
    assert edges == {
        ("ask [1/2]", "drop [1/2]"),
        ("ask [2/2]", "drop [2/2]"),
        ("drop [1/2]", "most_common [1/1]"),
        ("drop [2/2]", "most_common [1/1]"),
        ("most_common [1/1]", "reply [1/2]"),
        ("most_common [1/1]", "reply [2/2]"),
    }


ONE_PIPELINE = """\
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: FilterByValueBlock
  block_config: {block_name: drop, filter_column: document, filter_value: none, operation: operator.ne}
- block_type: SetToMajorityValue
  block_config: {block_name: most_common, col_name: question}
- block_type: LLMBlock
  block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
"""


def test_pipelines_are_nested_as_they_are_written(project: Project, history: History) -> None:
    project.write("flow.yaml", NESTED)
    project.write("innermost.yaml", INNERMOST)
    rows = project.generate(project.documents(2), None)
    assert len(rows) == 2 * 2 * 3
    assert history.tree(history.run(project.report())) == {
        "outer": {"copy [1/1]": None, "middle": {"innermost": {"copy_again [1/1]": None}}},
        "rounds": {
            "twice (1/2)": {"rename [1/1]": None},
            "twice (2/2)": {"rename [1/1]": None},
            **{f"thrice [{number}/2]": None for number in (1, 2)},
        },
    }


def test_a_run_leaves_its_plan_its_report_rows_rejects_and_the_place_of_its_output(
    project: Project, model: SimulatedModel, history: History
) -> None:
    model.change(malformed_share=0.5)
    project.seeds(8)
    ran = project.run(model.url, "--allow-rejects", "--shard-size", "4")
    assert ran.code == 0, ran.stderr
    whole = history.run(ran.report)
    assert (whole["state_type"], whole["state_name"]) == ("COMPLETED", "Completed with rejects")
    assert set(whole["tags"]) == {"sdg_prefect", "teacher"}
    assert "rejected" in whole["state"]["message"]
    found = history.find("artifacts", artifacts={"flow_run_id": {"any_": [whole["id"]]}})
    by_key = {one["key"]: one for one in found}
    # A run that takes more than a moment shows its progress as well.
    assert set(by_key) - {"small-progress"} == {"small-plan", "small-report", "small-rows", "small-rejects", "small-output"}
    assert "ask" in by_key["small-plan"]["data"]
    report = by_key["small-report"]["data"]
    for told in (ran.report["run_id"], "| ask | 8 |", "█", "NothingParsed", "rejects.parquet", "out.jsonl"):
        assert told in report
    assert f"file://{project.folder}/out.jsonl" in by_key["small-output"]["data"]
    assert "Island" in by_key["small-rows"]["data"]
    rejected = json.loads(by_key["small-rejects"]["data"])
    assert len(rejected) == ran.report["rows_rejected"]
    assert {"block", "error", "message", "row", "reply", "row id"} == set(rejected[0])

    def lines() -> list[dict[str, Any]]:
        ids = [one["id"] for one in history.family(whole)]
        logs = history.find("logs", logs={"flow_run_id": {"any_": ids}})
        return [log for log in logs if "rows rejected: NothingParsed" in log["message"]]

    project.wait_for(lambda: bool(lines()), "a line about rejected rows", 20)
    assert lines()[0]["task_run_id"] in {task["id"] for task in history.all_tasks(ran.report)}


def test_a_run_that_finds_everything_has_nothing_to_do(project: Project, model: SimulatedModel, history: History) -> None:
    for expected in ("Completed", "Nothing to do"):
        project.generate(project.documents(2), model.url)
        assert states([history.run(project.report())]) == {("COMPLETED", expected)}


def test_logs_tell_of_transitions_and_neither_of_rows_nor_of_the_key(
    project: Project, model: SimulatedModel, history: History
) -> None:
    model.change(api_key="sk-very-secret", malformed_share=0.3)
    project.seeds(12)
    ran = project.run(model.url, "--shard-size", "6", "--allow-rejects", OPENAI_API_KEY="sk-very-secret")
    assert ran.code == 0, ran.stderr
    ids = [one["id"] for one in history.family(history.run(ran.report))]
    messages: list[str] = []

    def has_all() -> bool:
        messages[:] = [log["message"] for log in history.find("logs", logs={"flow_run_id": {"any_": ids}})]
        return any("12 rows in" in message for message in messages)

    project.wait_for(has_all, "the last line of the log", 20)
    assert len([message for message in messages if "12 rows in shards of 6" in message]) == 1
    for secret in ("Island", "wells", "sk-very-secret", "Sorry, I started"):
        assert not [message for message in messages if secret in message]
        assert secret not in ran.stderr
    assert len(messages) <= 3 + 2 * len(ids) + 4 * len(history.all_tasks(ran.report))


def test_a_second_run_is_cached_and_calls_nobody(project: Project, model: SimulatedModel, history: History) -> None:
    project.generate(project.documents(9), model.url, shard_size=2, output=str(project.folder / "one.jsonl"))
    paid = model.stats()["calls"]
    project.generate(project.documents(9), model.url, shard_size=2, output=str(project.folder / "two.jsonl"))
    assert model.stats()["calls"] == paid == 18
    assert states(history.all_tasks(project.report())) == {("COMPLETED", "Cached")}
    assert (project.folder / "one.jsonl").read_bytes() == (project.folder / "two.jsonl").read_bytes()
    assert (project.report()["llm_calls"], project.report()["llm_replayed"]) == (0, 18)


def test_an_edited_prompt_runs_its_block_and_what_comes_after(project: Project, model: SimulatedModel, history: History) -> None:
    project.generate(project.documents(4), model.url, shard_size=2)
    edited = (project.folder / "reply.yaml").read_text("utf-8").replace("Answer the question.", "Answer the question briefly.")
    project.write("reply.yaml", edited)
    project.generate(project.documents(4), model.url, shard_size=2)
    assert model.stats()["calls"] == 12
    found = {task["name"].split()[0]: task["state_name"] for task in history.all_tasks(project.report())}
    assert found == {"ask": "Cached", "reply": "Completed"}


def test_a_failed_run_says_why_and_leaves_nothing_running(project: Project, model: SimulatedModel, history: History) -> None:
    model.change(quota=3)
    with pytest.raises(SdgError, match="QuotaUsedUp"):
        project.generate(project.documents(8), model.url, shard_size=2)
    whole = history.run(project.report())
    assert states([whole]) == {("FAILED", "Failed")}
    assert "QuotaUsedUp" in whole["state"]["message"]
    left = {"PENDING", "RUNNING", "SCHEDULED"}

    def has_ended() -> bool:
        return not left & {one["state_type"] for one in (*history.family(whole), *history.all_tasks(project.report()))}

    project.wait_for(has_ended, "the end of every run", 20)
