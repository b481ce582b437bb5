"""What has to hold for any rows: ids, order and keys come from content, and from nothing else."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.blocks import Block, find_block
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.rows import ROW_ID, ids_of, without_ids
from sdg_prefect.store.seeds import seeds_of
from sdg_prefect.testing import BlockResult, run_block

Row = dict[str, Any]

few = settings(max_examples=40)

texts = st.one_of(st.none(), st.sampled_from(["", "é", "e\u0301", "🦜\u2028", "İ", " a\n"]), st.text(max_size=4))
# Adding nothing makes a negative zero a plain one: as seeds they are equal, as 1 and 1.0 are.
numbers = st.one_of(
    st.none(), st.sampled_from([0.0, math.nan, math.inf, 5e-324, 0.1 + 0.2]), st.floats(width=32).map(lambda number: number + 0.0)
)
nested = st.one_of(st.none(), st.fixed_dictionaries({"a": st.lists(texts, max_size=2), "b": st.one_of(st.none(), st.booleans())}))
rows = st.lists(
    st.fixed_dictionaries(
        {"text": texts, "number": numbers, "whole": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), "nested": nested}
    ),
    min_size=1,
    max_size=6,
)


def ids_by_row(values: list[Row]) -> list[tuple[str, str]]:
    seeds = seeds_of(values)
    contents = [json.dumps(row, sort_keys=True) for row in without_ids(seeds).to_pylist()]
    return sorted(zip(contents, ids_of(seeds), strict=True))


@few
@given(rows)
def test_equal_seeds_have_ids_of_their_own(values: list[Row]) -> None:
    ids = ids_of(seeds_of([*values, *values]))
    assert len(set(ids)) == 2 * len(values)


@few
@given(rows, st.randoms(use_true_random=False))
def test_seeds_in_another_order_keep_their_ids(values: list[Row], order: Any) -> None:
    assert ids_by_row(order.sample(values, len(values))) == ids_by_row(values)


@few
@given(rows, rows)
def test_seeds_before_others_keep_their_ids(values: list[Row], more: list[Row]) -> None:
    assert ids_of(seeds_of([*values, *more]))[: len(values)] == ids_of(seeds_of(values))


@pytest.mark.parametrize(
    "later",
    [{"text": "b", "number": 2.5}, {"text": "b", "number": None}, {"text": "b", "number": 2, "new": "x"}, {"text": None}],
    ids=["a decimal", "nothing", "another column", "a column less"],
)
def test_a_seed_that_widens_a_column_leaves_the_ids_before_it(later: Row) -> None:
    values = [{"text": "a", "number": 1}, {"text": "a", "number": 3}]
    assert ids_of(seeds_of([*values, later]))[:2] == ids_of(seeds_of(values))


@few
@given(rows)
def test_seeds_with_equal_content_have_one_fingerprint(values: list[Row]) -> None:
    copied = [json.loads(json.dumps(row)) for row in values]
    assert fingerprint(seeds_of(copied)) == fingerprint(seeds_of(values))


def blocks() -> list[Block]:
    prompt = {
        "messages": [{"role": "user", "content": "Ask about {{ text }} {{ nested }}"}],
        "start_tags": ["<q>"],
        "end_tags": ["</q>"],
    }
    answer = {"messages": [{"role": "user", "content": "Answer {{ question }}"}], "start_tags": [""], "end_tags": [""]}
    configs: list[tuple[str, Row]] = [
        ("LLMBlock", {"model_id": "m", "config_path": prompt, "output_cols": ["question"], "gen_kwargs": {"n": 2}}),
        ("FilterByValueBlock", {"filter_column": "question", "filter_value": "none", "operation": "operator.ne"}),
        ("DropDuplicates", {"columns": ["question", "number"]}),
        ("LLMBlock", {"model_id": "m", "config_path": answer, "output_cols": ["answer"]}),
    ]
    found = []
    for number, (name, config) in enumerate(configs):
        cls = find_block(name)
        assert cls is not None
        found.append(cls.model_validate({"block_name": f"block {number}", **config}))
    return found


def reply(prompt: str) -> str:
    ways = ["<q>one</q>", "<q>one</q><q>two</q>", "<q>none</q>", f"<q>{len(prompt)}</q><q>é</q><q>é</q>", "no question"]
    return ways[len(prompt) % len(ways)]


def run_chain(values: list[Row], shard_size: int | None) -> list[BlockResult]:
    table, results = seeds_of(values), []
    for block in blocks():
        results.append(run_block(block, table, reply, shard_size=shard_size))
        table = results[-1].table
    return results


@few
@given(rows, st.integers(1, 4))
def test_rows_ids_and_order_after_a_chain_do_not_depend_on_the_shards(values: list[Row], shard_size: int) -> None:
    whole, cut = run_chain(values, None), run_chain(values, shard_size)
    assert [repr(one.table.to_pylist()) for one in cut] == [repr(one.table.to_pylist()) for one in whole]
    assert [one.counts for one in cut] == [one.counts for one in whole]
    before = len(values)
    for one in whole:
        assert one.counts.is_conserved
        assert one.counts.rows_in == before
        assert len(set(one.table.column(ROW_ID).to_pylist())) == one.table.num_rows
        before = one.counts.rows_out


KEYS = """
import json, sys
from pathlib import Path
from sdg_prefect.models.completion import Request
from sdg_prefect.models.endpoint import resolve_endpoints
from sdg_prefect.plan.compile import compile_plan
from sdg_prefect.fingerprints import fingerprint
from sdg_prefect.rows import ids_of
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns
from sdg_prefect.store.seeds import read_seeds
folder = Path(sys.argv[1])
seeds = read_seeds(str(folder / "seeds.jsonl"))
spec = read_flow(folder / "flow.yaml")
plan = compile_plan(spec, track_columns(spec, seeds.column_names[1:]), resolve_endpoints(spec.model_ids(), spec.models))
params = {"temperature": 0.1 + 0.2, "stop": ["é", "\\u2028"], "n": 2, "seed": None, "top_p": 1e-7}
asked = Request("teacher", "0a", messages=[{"role": "user", "content": "Où ça ?\\n🦜"}], params=params, sample=1)
print(json.dumps({
    "ids": ids_of(seeds),
    "rows": fingerprint(seeds),
    "steps": [(step.key, step.ledger_key, step.checkpoint_key((fingerprint(seeds),))) for step in plan.steps()],
    "completion": asked.key("one"),
}))
"""
FLOW = """\
name: "Überblick"
models: {teacher: {model: openai/one, api_base: "http://127.0.0.1:9/v1"}}
blocks:
- block_type: LLMBlock
  block_config: {block_name: "où", config_path: ask.yaml, model_id: teacher, output_cols: [question]}
  gen_kwargs: {temperature: 0.30000000000000004, stop: ["é"], top_p: 1.0e-07}
  drop_duplicates: [question]
- block_type: FilterByValueBlock
  block_config: {block_name: keep, filter_column: question, filter_value: [1, "é", 2.5], operation: operator.ne}
"""
SEEDS: list[Row] = [
    {"text": "é 🦜\u2028", "number": math.nan, "nested": {"b": [None, "ß"], "a": {"ü": 1}}},
    {"text": "é 🦜\u2028", "number": math.nan, "nested": {"b": [None, "ß"], "a": {"ü": 1}}},
    {"text": None, "number": 0.1 + 0.2, "nested": None},
    {"text": "", "number": -0.0, "nested": {"b": [], "a": None}},
]


def test_keys_and_ids_are_the_same_in_every_process(tmp_path: Path) -> None:
    flow = tmp_path / "a flow"
    flow.mkdir()
    (flow / "flow.yaml").write_text(FLOW, "utf-8")
    (flow / "ask.yaml").write_text("system: Où ?\ngeneration: Ask {{text}}.\nstart_tags: ['«']\nend_tags: ['»']\n", "utf-8")
    (flow / "seeds.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in SEEDS), "utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ways = [
        (tmp_path, {"PYTHONHASHSEED": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}, str(flow)),
        (
            elsewhere,
            {"PYTHONHASHSEED": "2", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TZ": "Asia/Tokyo"},
            "../a flow",
        ),
    ]
    script = tmp_path / "keys.py"
    script.write_text(KEYS, "utf-8")
    told = []
    for folder, variables, place in ways:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}
        words = [sys.executable, str(script), place]
        ran = subprocess.run(words, cwd=folder, env=environment, capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr.decode("utf-8", "replace")
        told.append(json.loads(ran.stdout))
    assert told[0] == told[1]
    assert len(set(told[0]["ids"])) == len(SEEDS)
