"""After an edit only what really changed is asked again, and ``plan`` says so before.

One run of a thousand seeds through five blocks is made once; every test edits one thing of a copy of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect import generate
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.looking import look_ahead
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outlook import Outlook
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

ROWS = 1000
FLOW = """\
name: five
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: DuplicateColumns
  block_config: {block_name: copy, columns_map: {question: asked}}
- block_type: LLMBlock
  block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
- block_type: RenameColumns
  block_config: {block_name: rename, columns_map: {asked: first_question}}
- block_type: LLMBlock
  block_config: {block_name: check, config_path: check.yaml, model_id: judge, output_cols: [verdict]}
"""
CHECK = """\
system: You check answers.
generation: |
  Document:
  {{document}}

  Question:
  {{question}}

  Answer:
  {{answer}}

  Say between tags whether the answer is right:

  [Start of Verdict]
  your verdict
  [End of Verdict]
start_tags: ["[Start of Verdict]"]
end_tags: ["[End of Verdict]"]
"""


@dataclass(frozen=True)
class Five:
    """A project with a finished run, the model that served it, and what it asked."""

    project: Project
    model: SimulatedModel

    def outlook(self) -> Outlook:
        """Return what ``plan`` says."""
        options = RunOptions(
            flow=self.project.flow,
            input=str(self.project.folder / "seeds.jsonl"),
            storage=str(self.project.store),
            api_base=self.model.url,
        )
        return look_ahead(prepare(options).plan, options)

    def run(self, url: str | None = None) -> tuple[dict[str, int], list[dict[str, Any]]]:
        """Run; return the calls that the server saw and that the report tells, by block, and the rows."""
        before = self.model.stats()["completions"]
        seeds = str(self.project.folder / "seeds.jsonl")
        rows = generate(self.project.flow, seeds, api_base=url or self.model.url, storage=self.project.store).to_list()
        calls = {block["name"]: block["llm_calls"] for block in self.project.report()["blocks"]}
        assert self.model.stats()["completions"] - before == sum(calls.values())
        return {name: number for name, number in calls.items() if number}, rows


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Five]:
    folder = tmp_path_factory.mktemp("five")
    project = Project(folder)
    project.write("flow.yaml", FLOW)
    project.write("check.yaml", CHECK)
    project.seeds(ROWS)
    with SimulatedModel(SimulatorSettings()) as model:
        five = Five(project, model)
        calls, rows = five.run()
        assert calls == {"ask": ROWS, "reply": ROWS, "check": ROWS}
        assert len(rows) == ROWS
        yield five


@pytest.fixture
def five(base: Five, tmp_path: Path) -> Five:
    """A copy of the finished run, to edit."""
    folder = tmp_path / "five"
    shutil.copytree(base.project.folder, folder)
    copy = object.__new__(Project)
    copy.folder = folder
    return Five(copy, base.model)


def edit(name: str, old: str, new: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        text = (project.folder / name).read_text("utf-8")
        assert old in text
        project.write(name, text.replace(old, new))

    return change


def seeds(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[Project], None]:
    return lambda project: project.seeds(change(project.documents(ROWS)))


NEW = [{"document": f"Harbour {place} has {place + 2} piers and one lighthouse."} for place in range(3)]

Case = tuple[Callable[[Project], None], dict[str, int], str]

CASES: dict[str, Case] = {
    "nothing": (lambda _: None, {}, ""),
    "a word in the prompt of the third block": (
        edit("reply.yaml", "Answer the question.", "Answer the question briefly."),
        {"reply": ROWS},  # it answers the same all the same, so that the check behind it is not asked again
        "config_path",
    ),
    "one seed in the middle": (
        seeds(lambda rows: [*rows[:500], NEW[0], *rows[501:]]),
        {"ask": 1, "reply": 1, "check": 1},
        "its rows are new or changed",
    ),
    "seeds at the front": (
        seeds(lambda rows: [*NEW, *rows]),
        {"ask": 3, "reply": 3, "check": 3},
        "its rows are new or changed",
    ),
    "the order of the seeds": (seeds(lambda rows: rows[::-1]), {}, "its rows are new or changed"),
    "the parser": (
        edit(
            "flow.yaml",
            "output_cols: [verdict]}",
            "output_cols: [verdict], parser_kwargs: {parser_name: custom, parsing_pattern: '(?s)Verdict\\]\\s*(.{1,40})'}}",
        ),
        {},
        "parser_kwargs",
    ),
    "the model of the last block": (
        edit("flow.yaml", "model_id: judge", "model_id: another"),
        {"check": ROWS},
        "served model",
    ),
    "sampling of the last block": (
        edit("flow.yaml", "output_cols: [verdict]}", "output_cols: [verdict]}\n  gen_kwargs: {temperature: 0.5}"),
        {"check": ROWS},
        "gen_kwargs",
    ),
    "a transform": (edit("flow.yaml", "{asked: first_question}", "{asked: earlier_question}"), {}, "columns_map"),
    "the name of a block": (edit("flow.yaml", "block_name: reply", "block_name: respond"), {}, ""),
}


RARE = {"seeds at the front", "the order of the seeds", "the model of the last block", "the name of a block"}


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.long) if case in RARE else case for case in CASES])
def test_the_calls_after_an_edit_are_those_that_plan_told(five: Five, case: str) -> None:
    change, expected, why = CASES[case]
    change(five.project)
    outlook = five.outlook()
    told = {step.name: step.calls for step in outlook.steps if step.calls.high != 0}
    # What a block gets that stands behind a changed one depends on the new replies; up to there the numbers are certain.
    assert list(told)[:1] == list(expected)[:1]
    assert all(told[name].is_exact and told[name].low == expected[name] for name in list(expected)[:1])
    assert not why or any(why in step.why for step in outlook.steps), [step.why for step in outlook.steps]
    calls, rows = five.run()
    assert calls == expected
    assert all(calls.get(name, 0) <= (guess.likely or 0) for name, guess in told.items())
    assert len(rows) == outlook.seeds
    assert five.outlook().calls == Guess.exactly(0)


def test_another_address_of_the_same_model_costs_no_call(five: Five) -> None:
    with SimulatedModel(SimulatorSettings()) as other:
        assert other.url != five.model.url
        calls, _ = five.run(other.url)
        assert calls == {}
        assert other.stats()["completions"] == 0


def test_the_rows_after_an_edit_are_those_of_a_run_from_nothing(five: Five, tmp_path: Path) -> None:
    seeds(lambda rows: [*NEW, *rows[:40]])(five.project)
    _, rows = five.run()
    file = str(five.project.folder / "seeds.jsonl")
    assert rows == generate(five.project.flow, file, api_base=five.model.url, storage=tmp_path / "new").to_list()


def test_plan_tells_tokens_cost_and_time_with_their_uncertainty(five: Five, tmp_path: Path) -> None:
    price = "models: {teacher: {model: openai/teacher, price: {input: 1000, output: 2000}}, judge: {model: openai/judge}}\n"
    edit("flow.yaml", "name: five\n", "name: five\n" + price)(five.project)
    seeds(lambda rows: [*NEW, *rows])(five.project)
    told = five.outlook()
    ask, _, reply, _, check = told.steps
    before = five.project.report()["blocks"][0]
    each_in, each_out = before["tokens_in"] / ROWS, before["tokens_out"] / ROWS
    assert ask.tokens_in.low <= 3 * each_in <= (ask.tokens_in.high or 0)
    assert ask.tokens_out.low <= 3 * each_out <= (ask.tokens_out.high or 0)
    assert ask.cost_usd is not None
    assert ask.cost_usd.likely == pytest.approx(((ask.tokens_in.likely or 0) * 1000 + (ask.tokens_out.likely or 0) * 2000) / 1e6)
    assert (ask.seconds.likely or 0) > 0
    assert check.cost_usd is None
    assert told.cost_usd is None  # a price that is not known is not nought
    assert "not known" in str(told)
    assert reply.calls.likely == 3


def test_plan_of_a_first_run_counts_the_prompts_and_bounds_the_replies(five: Five, tmp_path: Path) -> None:
    shutil.rmtree(five.project.store)
    told = five.outlook()
    ask = told.steps[0]
    assert ask.calls.is_exact
    assert ask.calls.low == ROWS
    five.run()
    paid = five.project.report()["blocks"][0]
    assert ask.tokens_in.low <= paid["tokens_in"] <= (ask.tokens_in.high or 0)
    assert ask.tokens_out.high == ROWS * 4096
    assert told.calls.likely == 3 * ROWS
    assert "for each second that a call takes" in str(told)
