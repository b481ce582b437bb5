"""Rows on their way: whatever is in them, however they are cut, they arrive whole, in order, and paid once."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from sdg_prefect import generate
from sdg_prefect.simulator import SimulatedModel
from tests.pdf import PICTURE, pdf_saying

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

COPY = """\
- block_type: DuplicateColumns
  block_config: {block_name: copy, columns_map: {document: copy}}
"""
BACK = """\
- block_type: RenameColumns
  block_config: {block_name: back, columns_map: {copy: document}}
"""
DROP = """\
- block_type: FilterByValueBlock
  block_config: {block_name: keep, filter_column: kind, filter_value: good, operation: operator.eq}
"""
ASK = """\
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
"""
MIXED = f"""\
{ASK}  gen_kwargs: {{n: 2, temperature: 0.7}}
  drop_duplicates: [document, question]
{DROP}
- block_type: LLMBlock
  block_config: {{block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}}
- block_type: DuplicateColumns
  block_config: {{block_name: copy, columns_map: {{document: base}}}}
- block_type: FlattenColumnsBlock
  block_config: {{block_name: flatten, var_cols: [document, base], value_name: text, var_name: version}}
- block_type: SetToMajorityValue
  block_config: {{block_name: most_common, col_name: question}}
"""
MIX = """\
- block_type: MixRows
  block_config: {block_name: mix, column: file, shares: {bees.pdf: 1, cows.pdf: 1}}
"""
KINDS = ("a.jsonl", "a.json", "a.parquet", "a.csv", "a.tsv", "folder", "a.jsonl.gz", "a.arrow")

AWKWARD: list[dict[str, Any]] = [
    {"document": "Two\nlines\r\nand a tab\t.", "n": 1, "share": None, "messages": None, "tags": None},
    {"document": "Zürich, 東京, 🌊, e\u0301, \u2028, \u0000", "n": None, "share": None, "messages": None, "tags": []},
    {
        "document": "",
        "n": 2**40,
        "share": 0.1,
        "messages": [{"role": "user", "content": 'Hi "you"'}, {"role": "assistant", "content": None}],
        "tags": ["a", None],
    },
    {"document": None, "n": -1, "share": 1e-300, "messages": [], "tags": ["b"]},
]


def kinds_of(count: int) -> list[dict[str, Any]]:
    """Return seeds of which only some are good."""
    return [
        {"document": f"Lake {place} lies {place * 31} metres high.", "kind": "bad" if place % 10 < 6 else "good"}
        for place in range(count)
    ]


def test_rows_pass_through_every_kind_of_file(project: Project) -> None:
    project.write("flow.yaml", COPY + "  drop_columns: [document]\n" + BACK)
    texts = ("Where?", "Où\nça", '"Here", 東京', "4")
    seeds = [{"n": place, "document": text} for place, text in enumerate(texts)]
    source: Any = seeds
    for kind in KINDS:
        target = str(project.folder / kind)
        assert project.generate(source, None, output=target) == seeds
        source = target
    assert project.generate(source, None) == seeds


@pytest.mark.parametrize("kind", ["a.jsonl", "a.parquet", "folder"])
def test_lines_signs_nulls_and_nested_columns_survive(project: Project, kind: str) -> None:
    project.write("flow.yaml", COPY)
    expected = [{**row, "copy": row["document"]} for row in AWKWARD]
    project.seeds(AWKWARD)
    target = str(project.folder / kind)
    rows = project.generate(str(project.folder / "seeds.jsonl"), None, output=target, shard_size=1)
    assert rows == expected
    project.write("flow.yaml", COPY.replace("document: copy", "document: again"))
    assert project.generate(target, None) == [{**row, "again": row["document"]} for row in expected]


def test_rows_that_are_all_filtered_leave_an_output_with_its_columns(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", DROP + ASK)
    seeds = [{**seed, "kind": "bad"} for seed in project.documents(5)]
    for name in ("out.jsonl", "out.parquet", "out.csv"):
        made = generate(project.flow, seeds, api_base=model.url, storage=project.store, output=str(project.folder / name))
        assert (made.num_rows, made.column_names) == (0, ["document", "kind", "question"])
    assert project.report()["status"] == "completed"
    assert (project.report()["rows_in"], project.report()["rows_filtered"]) == (5, 5)
    assert (project.folder / "out.jsonl").read_bytes() == b""
    assert pq.read_table(project.folder / "out.parquet").column_names == ["document", "kind", "question"]
    assert (project.folder / "out.csv").read_text("utf-8").strip() == "document,kind,question"
    assert model.stats()["calls"] == 0


def test_shards_without_rows_pass_through_all_blocks(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", DROP + ASK + COPY)
    seeds = kinds_of(20)
    rows = project.generate(seeds, model.url, shard_size=2)
    assert [row["document"] for row in rows] == [seed["document"] for seed in seeds if seed["kind"] == "good"]
    assert all(row["question"] and row["copy"] == row["document"] for row in rows)
    assert [block["shards"] for block in project.report()["blocks"]] == [10, 10, 10]


def test_any_shard_size_gives_the_same_bytes(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", MIXED)
    made = []
    for size in (1, 3, None):
        target = project.folder / f"{size}.jsonl"
        project.generate(kinds_of(14), model.url, shard_size=size, output=str(target), storage=project.folder / f"store-{size}")
        made.append(target.read_bytes())
    assert len(made[0].splitlines()) > 4
    assert made[0] == made[1] == made[2]


def test_rows_come_out_in_the_order_of_the_seeds_whatever_is_done_first(project: Project, model: SimulatedModel) -> None:
    model.change(latency=0.05, latency_jitter=0.05, tail_share=0.1, tail_latency=0.2)
    seeds = project.documents(24)
    rows = project.generate(seeds, model.url, shard_size=2)
    assert [row["document"] for row in rows] == [seed["document"] for seed in seeds]


def test_seeds_of_a_generator_and_of_a_path_are_those_of_a_list(project: Project, model: SimulatedModel) -> None:
    project.seeds(3)
    expected = project.generate(project.documents(3), model.url)
    assert project.generate((seed for seed in project.documents(3)), model.url) == expected
    assert project.generate(project.folder / "seeds.jsonl", model.url) == expected


def test_limit_takes_the_first_rows(project: Project, model: SimulatedModel) -> None:
    project.seeds(10)
    rows = project.generate(str(project.folder / "seeds.jsonl"), model.url, limit=3)
    assert [row["document"] for row in rows] == [seed["document"] for seed in project.documents(3)]
    assert model.stats()["calls"] == 6


def test_set_changes_what_a_block_asks(project: Project, model: SimulatedModel) -> None:
    model.change(record=True)
    project.generate(
        project.documents(2), model.url, overrides=["ask.gen_kwargs.temperature=0.25", "reply.gen_kwargs.max_tokens=77"]
    )
    assert [(one.get("temperature"), one.get("max_tokens")) for one in model.requests] == [(0.25, 4096)] * 2 + [(0, 77)] * 2


def test_the_ids_of_the_rows_can_be_kept(project: Project, model: SimulatedModel) -> None:
    target = project.folder / "out.jsonl"
    rows = project.generate(project.documents(3), model.url, keep_ids=True, output=str(target))
    assert rows == project.output()
    (column,) = set(rows[0]) - {"document", "question", "answer"}
    assert len({row[column] for row in rows}) == 3
    assert project.generate(project.documents(3), model.url) == [
        {name: value for name, value in row.items() if name != column} for row in rows
    ]


def test_fresh_pays_again(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(3)
    first = project.generate(seeds, model.url)
    assert project.generate(seeds, model.url, fresh=True) == first
    assert model.stats()["calls"] == 12
    assert project.generate(seeds, model.url) == first
    assert model.stats()["calls"] == 12


def test_only_new_seeds_are_paid_when_others_are_moved(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(12)
    first = {row["document"]: row for row in project.generate(seeds[:9], model.url, shard_size=4)}
    mixed = random.Random(1).sample(seeds, 12)
    rows = project.generate(mixed, model.url, shard_size=5)
    assert model.stats()["calls"] == 24
    assert [row["document"] for row in rows] == [seed["document"] for seed in mixed]
    assert [row for row in rows if row["document"] in first] == [first[seed["document"]] for seed in mixed if seed in seeds[:9]]


def test_equal_seeds_are_asked_for_one_by_one(project: Project, model: SimulatedModel) -> None:
    rows = project.generate(project.documents(1) * 4, model.url, shard_size=1)
    assert len(rows) == 4
    assert model.stats()["calls"] == 8


def test_without_an_output_rows_go_to_stdout(project: Project, model: SimulatedModel) -> None:
    project.seeds(3)
    words = ("run", "flow.yaml", "--input", "seeds.jsonl", "--storage", "store", "--api-base", model.url)
    ran = project.command(*words).wait()
    assert ran.code == 0, ran.stderr
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    assert rows == project.generate(project.documents(3), model.url)
    assert model.stats()["calls"] == 6


def test_two_runs_at_once_on_one_store_do_not_disturb_each_other(project: Project, model: SimulatedModel) -> None:
    expected = project.generate(project.documents(16), model.url, storage=project.folder / "elsewhere")
    model.change(latency=0.02, latency_jitter=0.02)
    project.seeds(16)
    both = [project.start(model.url, "--shard-size", "2", "--output", f"{number}.jsonl") for number in range(2)]
    for number, run in enumerate(both):
        ran = run.wait()
        assert ran.code == 0, ran.stderr
        assert project.output(f"{number}.jsonl") == expected
    model.change(latency=0.0)
    before = model.stats()["calls"]
    assert project.generate(project.documents(16), model.url, shard_size=2) == expected
    assert model.stats()["calls"] == before
    assert not list(Path(project.store / "tmp").iterdir())


def test_what_may_be_missing_from_the_rows_is_told_before_a_run_by_it_and_by_one_that_has_nothing_left_to_do(
    project: Project,
) -> None:
    project.write("flow.yaml", MIX)
    (project.folder / "in").mkdir()
    (project.folder / "in" / "bees.pdf").write_bytes(pdf_saying("Bees dance.", PICTURE))
    words = ("flow.yaml", "--input", "in", "--pdf", "text", "--storage", "store")
    scan, kind = "in/bees.pdf  warning: '--pdf text' finds nothing to read on page 2 of 2", "block 'mix': no row has 'cows.pdf'"
    assert scan in project.command("plan", *words).wait().stderr
    for _ in range(2):
        ran = project.command("run", *words, "--output", "out.jsonl", "--json").wait()
        assert (ran.code, ran.report["rows_out"], ran.report["rows_filtered"]) == (0, 0, 1)
        assert [warning[: len(said)] for warning, said in zip(ran.report["warnings"], (scan, kind), strict=True)] == [scan, kind]
        assert scan in ran.stderr
        assert f"warning: {kind}" in ran.stderr
        manifest = json.loads((project.store / "runs" / ran.report["run_id"] / "manifest.json").read_text())
        assert [doubt[: len(scan)] for doubt in manifest["input"]["doubts"]] == [scan]
