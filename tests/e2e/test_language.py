"""Branches, rounds and targets on Prefect: what is killed goes on, what is met ends, and every row is there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.engine import server
from sdg_prefect.errors import TargetMissed
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.history import History

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

REPEAT = """\
name: rounds
blocks:
- block_type: RepeatBlock
  block_config:
    block_name: refine
    until: n <= 2 or question is none
    max_rounds: 3
    blocks:
    - block_type: LLMBlock
      block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: BranchBlock
  block_config:
    block_name: route
    branches:
    - when: n % 2 == 0
      name: even
      blocks:
      - block_type: LLMBlock
        block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
    - name: odd
      blocks:
      - block_type: DuplicateColumns
        block_config: {block_name: copy, columns_map: {question: copy}}
"""
"""Rows with a small number are done after one round; the others go through all three, with the same prompt in each."""

EXACT = """\
name: exact
target_rows: 30
max_candidates: 400
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: FilterByValueBlock
  block_config: {block_name: some, filter_column: n, filter_value: 3, operation: operator.lt}
"""
"""A filter takes 30 % of the candidates: the seeds have the numbers 0 to 9."""


def numbered(project: Project, count: int) -> list[dict[str, object]]:
    return [{**row, "n": place % 10} for place, row in enumerate(project.documents(count))]


@pytest.mark.long
def test_a_run_killed_in_its_rounds_goes_on_and_asks_nothing_twice(project: Project) -> None:
    project.write("flow.yaml", REPEAT)
    project.seeds(numbered(project, 20))
    with SimulatedModel(SimulatorSettings(latency=0.05)) as model:
        killed = project.start(model.url, "--shard-size", "5", "--concurrency", "4")
        killed.wait_for(lambda: model.stats()["calls"] > 25, "the second round")
        killed.send(signal.SIGKILL)
        assert killed.wait().code == -signal.SIGKILL
        assert project.run(model.url, "--shard-size", "5").code == 0
        # 6 rows are done after one round, 14 go through three; 10 are even. What was in flight when it died may be asked again.
        calls = 20 + 14 + 14 + 10
        assert calls <= model.stats()["calls"] <= calls + 4
    report = project.report()
    rows = project.output()
    assert [row["n"] for row in rows] == [place % 10 for place in range(20)]
    assert [row["answer"] is None for row in rows] == [row["n"] % 2 == 1 for row in rows]
    assert [row["copy"] is None for row in rows] == [row["n"] % 2 == 0 for row in rows]
    blocks = {block["name"]: block for block in report["blocks"]}
    assert blocks["ask"]["rows_in"] == blocks["ask"]["llm_calls"] + blocks["ask"]["replayed"] == 48
    assert (report["status"], report["rows_out"]) == ("completed", 20)


def test_rounds_and_branches_are_subflows_and_rounds_end_with_the_last_open_row(
    project: Project,
    model: SimulatedModel,
) -> None:
    project.write("flow.yaml", REPEAT.replace("n % 2 == 0", "n == 99"))
    project.generate([{**row, "n": 1} for row in project.documents(3)], model.url)
    managed = server.begin_managed()
    history = History(managed.api_url)
    tree = history.tree(history.run(project.report()))["rounds"]
    assert tree == {
        "refine (1/3)": {"ask [1/1]": None},
        "refine · until [1/1]": None,
        "refine · join [1/1]": None,
        "route · branches [1/1]": None,
        "odd": {"copy [1/1]": None},
        "route · join [1/1]": None,
    }


def test_a_target_is_met_exactly_and_found_again_for_nothing(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", EXACT)
    rows = project.generate(numbered(project, 20), model.url)
    first = project.report()
    assert [row["n"] for row in rows[:6]] == [0, 1, 2, 0, 1, 2]
    target = first["target"]
    assert (len(rows), first["status"], first["rows_out"], target["rows"]) == (30, "completed", 30, 30)
    assert target["candidates"] == first["rows_in"] == first["llm_calls"] == model.stats()["calls"] <= 125
    assert target["accepted"] == 30 + target["surplus"]
    again = project.generate(numbered(project, 20), model.url)
    assert again == rows
    assert (project.report()["llm_calls"], project.report()["target"]) == (0, target)


def test_a_target_beyond_reach_is_missed_and_a_higher_ceiling_goes_on(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", EXACT)
    project.seeds(numbered(project, 20))
    missed = project.run(model.url, "--max-candidates", "50")
    assert missed.code == 1
    report = missed.report
    assert (report["status"], report["rows_out"], report["target"]["candidates"]) == ("target_missed", 15, 50)
    assert len(project.output()) == 15
    with pytest.raises(TargetMissed, match="15 of 30 rows came out of 50 candidates") as raised:
        project.generate(numbered(project, 20), model.url, max_candidates=50)
    assert raised.value.dataset.num_rows == 15
    assert len(project.generate(numbered(project, 20), model.url, max_candidates=50, allow_missed=True)) == 15
    assert model.stats()["calls"] == 50
    assert len(project.generate(numbered(project, 20), model.url)) == 30


def test_what_repeats_earlier_rows_does_not_count_for_the_target(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", EXACT.replace("operation: operator.lt}\n", "operation: operator.lt}\n  drop_duplicates: [n]\n"))
    rows = project.generate(numbered(project, 10), model.url, target_rows=3, max_candidates=30)
    assert [row["n"] for row in rows] == [0, 1, 2]
    with pytest.raises(TargetMissed):
        project.generate(numbered(project, 10), model.url, target_rows=4, max_candidates=30)
    blocks = {block["name"]: block for block in project.report()["blocks"]}
    assert [blocks[name]["rows_in"] for name in ("ask", "some", "some · drop_duplicates")] == [30, 30, 9]
    assert blocks["some · drop_duplicates"]["deduplicated"] == 6
