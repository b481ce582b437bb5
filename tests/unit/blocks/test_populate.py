"""Columns from YAML files that a row chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.blocks.populate import SamplePopulatorBlock
from sdg_prefect.testing import run_block


def populate(folder: Path, *names: str, **fields: Any) -> SamplePopulatorBlock:
    files = FlowFiles(folder)
    config = {"block_name": "populate", "config_paths": list(names), "column_name": "kind", **fields}
    return SamplePopulatorBlock.model_validate(config, context=files)


def write(folder: Path, **contents: str) -> None:
    for name, content in contents.items():
        (folder / f"{name}.yaml").write_text(content, "utf-8")


def test_a_row_gets_the_columns_of_the_file_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, poem="style: rhymed\nicl: é", prose="style: plain\nicl: x")
    result = run_block(populate(tmp_path, "poem.yaml", "prose.yaml"), [{"kind": "prose"}, {"kind": "poem"}])
    assert result.rows == [{"kind": "prose", "style": "plain", "icl": "x"}, {"kind": "poem", "style": "rhymed", "icl": "é"}]


def test_a_file_is_named_up_to_its_first_dot(tmp_path: Path) -> None:
    (tmp_path / "poem.v2.yaml").write_text("style: rhymed")
    assert run_block(populate(tmp_path, "poem.v2.yaml"), [{"kind": "poem"}]).rows[0]["style"] == "rhymed"


def test_a_post_fix_reads_another_file_under_the_same_choice(tmp_path: Path) -> None:
    write(tmp_path, poem="style: rhymed", poem_long="style: epic")
    assert run_block(populate(tmp_path, "poem.yaml", post_fix="long"), [{"kind": "poem"}]).rows[0]["style"] == "epic"


def test_a_column_of_the_same_name_is_replaced_in_its_place(tmp_path: Path) -> None:
    write(tmp_path, poem="style: rhymed")
    result = run_block(populate(tmp_path, "poem.yaml"), [{"style": 1, "kind": "poem"}])
    assert list(result.rows[0].items()) == [("style", "rhymed"), ("kind", "poem")]


@pytest.mark.parametrize("kind", ["verse", None, "poem.yaml"])
def test_a_row_that_names_no_file_is_rejected_alone(tmp_path: Path, kind: str | None) -> None:
    write(tmp_path, poem="style: rhymed")
    result = run_block(populate(tmp_path, "poem.yaml"), [{"kind": "poem"}, {"kind": kind}])
    assert (len(result.rows), [reject.error for reject in result.rejects]) == (1, ["UnknownChoice"])


def test_files_with_other_keys_leave_nulls(tmp_path: Path) -> None:
    write(tmp_path, a="x: 1", b="y: [1, 2]")
    result = run_block(populate(tmp_path, "a.yaml", "b.yaml"), [{"kind": "a"}, {"kind": "b"}])
    assert result.rows == [{"kind": "a", "x": 1, "y": None}, {"kind": "b", "x": None, "y": [1, 2]}]


def test_files_with_other_types_give_text_in_every_shard(tmp_path: Path) -> None:
    write(tmp_path, a="x: 1", b="x: one")
    block = populate(tmp_path, "a.yaml", "b.yaml")
    assert [run_block(block, [{"kind": kind}]).rows[0]["x"] for kind in "ab"] == ["1", "one"]


def test_an_edited_file_is_another_key(tmp_path: Path) -> None:
    write(tmp_path, a="x: 1")
    before = populate(tmp_path, "a.yaml").key({})
    write(tmp_path, a="x: 2")
    assert populate(tmp_path, "a.yaml").key({}) != before


def test_a_file_that_is_no_mapping_is_a_problem_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, a="- x")
    files = FlowFiles(tmp_path)
    with pytest.raises(ValidationError):
        SamplePopulatorBlock.model_validate({"block_name": "p", "config_paths": ["a.yaml"], "column_name": "k"}, context=files)
    assert [problem.message for problem in files.problems] == ["has to be a mapping of column to value."]
    assert files.problems[0].file.endswith("a.yaml")
