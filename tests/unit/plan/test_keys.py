"""Keys change with what decides a step's rows, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sdg_prefect.models.endpoint import resolve_endpoints
from sdg_prefect.plan.compile import compile_plan
from sdg_prefect.plan.plan import Plan
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns
from tests.flows import ASK, PROMPT

HEAD = """\
name: verse
models: {teacher: {model: openai/one, api_base: 'http://here/v1', timeout: 60}}
blocks:
"""
REST = """\
  gen_kwargs: {temperature: 0.5}
  drop_columns: [other]
- block_type: DuplicateColumns
  block_config:
    block_name: copy
    columns_map: {question: again}
"""
FLOW = HEAD + ASK + REST


def plan(folder: Path, flow: str = FLOW, prompt: str = PROMPT, salt: str = "", file: str = "flow.yaml") -> Plan:
    folder.mkdir(exist_ok=True)
    (folder / "ask.yaml").write_text(prompt)
    (folder / file).write_text(flow)
    spec = read_flow(folder / file)
    tracking = track_columns(spec, ("document", "other"))
    assert [problem for problem in tracking.problems if not problem.warning] == []
    return compile_plan(spec, tracking, resolve_endpoints(spec.model_ids(), spec.models), salt)


def keys(of: Plan) -> list[tuple[str, str]]:
    return [(step.key, step.ledger_key) for step in of.steps()]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("block_name: ask", "block_name: question"),
        lambda text: text.replace("name: verse", "name: prose"),
        lambda text: text.replace("timeout: 60", "endpoints: [{timeout: 60}, {api_base: 'http://there/v1', api_key_env: KEY}]"),
        lambda text: text.replace("http://here/v1", "http://there/v1"),
        lambda text: text.replace(
            "timeout: 60",
            "timeout: 5, max_concurrency: 3, requests_per_minute: 60, api_key_env: KEY, price: {input: 1, output: 2}",
        ),
        lambda text: text.replace("name: verse", "name: verse\ndescription: D.\nmax_reject_rate: 0.5"),
        lambda text: text.replace("teacher", "tutor"),
        lambda text: text.replace("{temperature: 0.5}", "{temperature: 0.5, n: null}"),
        lambda text: text.replace("drop_columns: [other]", "drop_columns: [other]  # a comment"),
    ],
    ids=["block name", "flow name", "endpoints", "address", "limits", "description", "model id", "empty parameter", "comment"],
)
def test_what_does_not_decide_the_rows_keeps_all_keys(change: Callable[[str], str], tmp_path: Path) -> None:
    assert change(FLOW) != FLOW
    before, after = keys(plan(tmp_path)), keys(plan(tmp_path, change(FLOW)))
    if "tutor" in change(FLOW):
        # The model id is a part of the block's configuration; what it was asked is found again all the same.
        assert [ledger for _, ledger in after] == [ledger for _, ledger in before]
        assert after[1] == before[1]
    else:
        assert after == before


def test_the_place_of_the_files_is_not_in_the_keys(tmp_path: Path) -> None:
    assert keys(plan(tmp_path / "a")) == keys(plan(tmp_path / "b", file="other.yaml"))


def test_a_new_prompt_is_asked_anew(tmp_path: Path) -> None:
    before = keys(plan(tmp_path))
    after = keys(plan(tmp_path, prompt=PROMPT.replace("teach", "learn")))
    assert after[0][0] != before[0][0]
    assert after[0][1] != before[0][1]
    assert after[1] == before[1]


def test_another_model_behind_the_same_name_is_asked_anew(tmp_path: Path) -> None:
    before, after = keys(plan(tmp_path)), keys(plan(tmp_path, FLOW.replace("openai/one", "openai/two")))
    assert after[0][0] != before[0][0]
    assert after[0][1] != before[0][1]


def test_other_parameters_of_the_endpoint_are_asked_anew(tmp_path: Path) -> None:
    before, after = keys(plan(tmp_path)), keys(plan(tmp_path, FLOW.replace("timeout: 60", "timeout: 60, params: {top_p: 0.5}")))
    assert after[0][0] != before[0][0]
    assert after[0][1] != before[0][1]
    assert after[1] == before[1]


def test_another_parser_finds_its_completions_again(tmp_path: Path) -> None:
    before = keys(plan(tmp_path))
    parsed = FLOW.replace("[question]\n", "[question]\n    parser_kwargs: {parser_name: custom, parsing_pattern: '(a)'}\n")
    after = keys(plan(tmp_path, parsed))
    assert after[0][0] != before[0][0]
    assert after[0][1] == before[0][1]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("temperature: 0.5", "temperature: 0.6"),
        lambda text: text.replace("drop_columns: [other]", "drop_columns: [document]"),
        lambda text: text.replace("  drop_columns: [other]\n", ""),
    ],
    ids=["parameter", "dropped column", "nothing dropped"],
)
def test_what_decides_the_rows_changes_the_key_of_its_block_alone(change: Callable[[str], str], tmp_path: Path) -> None:
    before, after = keys(plan(tmp_path)), keys(plan(tmp_path, change(FLOW)))
    assert after[0][0] != before[0][0]
    assert after[1] == before[1]


def test_a_salt_changes_every_key(tmp_path: Path) -> None:
    before, after = keys(plan(tmp_path)), keys(plan(tmp_path, salt="fresh"))
    assert all(new[0] != old[0] for new, old in zip(after, before, strict=True))
    assert after[0][1] != before[0][1]


def test_a_moved_block_keeps_its_key(tmp_path: Path) -> None:
    extra = "- block_type: DuplicateColumns\n  block_config: {block_name: first, columns_map: {document: twice}}\n"
    moved = FLOW.replace("blocks:\n", f"blocks:\n{extra}")
    assert keys(plan(tmp_path, moved))[1:] == keys(plan(tmp_path))


def test_a_nested_block_keeps_its_key(tmp_path: Path) -> None:
    flat = keys(plan(tmp_path))
    (tmp_path / "inner.yaml").write_text(FLOW)
    outer = "models: {teacher: {model: openai/one}}\npipelines:\n- name: x\n  flow: inner.yaml\n"
    assert keys(plan(tmp_path, outer)) == flat


def test_a_checkpoint_is_of_the_step_and_of_what_went_in(tmp_path: Path) -> None:
    first, second = plan(tmp_path).steps()
    assert first.checkpoint_key(("a", "b")) == first.checkpoint_key(("a", "b"))
    assert (
        len(
            {
                first.checkpoint_key(("a",)),
                first.checkpoint_key(("b",)),
                first.checkpoint_key(("a", "b")),
                second.checkpoint_key(("a",)),
            }
        )
        == 4
    )
