"""Paths that lead out of where they belong: in flows, records of a store, folders of rows, partitions, names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.counts import Counts
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.errors import FlowError, InputError
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import with_ids
from sdg_prefect.spec.reader import scan_flow
from sdg_prefect.store.checkpoints import RECORD, checkpoint_folder, recall, sealed, write_checkpoint
from sdg_prefect.store.integrity import FileMark
from sdg_prefect.store.publishing import parse_splits
from sdg_prefect.store.root import Root
from sdg_prefect.store.seeds import read_seeds
from sdg_prefect.store.shards import DatasetRef

OUT = ("..", ".", "../x", "a/../../x", "/etc/passwd", "a//b", "./x", "x/..", "")
"""Ways that lead out of a folder, or nowhere."""

_FLOW = """
models: {{teacher: simulated/teacher}}
blocks:
- block_type: LLMBlock
  block_config: {{block_name: {name}, config_path: {prompt}, model_id: teacher, output_cols: [x]}}
"""


@pytest.mark.parametrize(
    "file", ["/proc/self/environ", "/proc/self/cmdline", "/proc/version", "/dev/stdin", "/dev/zero", "/sys/kernel/uevent_seqnum"]
)
def test_what_only_looks_like_a_file_is_no_file_of_a_flow(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "sk-planted-in-the-environment")
    (tmp_path / "link.yaml").symlink_to(file)
    deep = "/".join([".."] * 20)
    for name in (file, "link.yaml", f"{deep}{file}"):
        (tmp_path / "flow.yaml").write_text(_FLOW.format(name="a", prompt=name))
        problems = [str(problem) for problem in scan_flow(tmp_path / "flow.yaml").errors]
        assert len(problems) == 1, problems
        assert "does not exist" in problems[0]
        assert "planted" not in problems[0]


@pytest.mark.parametrize("name", ["secret.txt", "../secret.txt", "link.txt"])
def test_what_is_no_prompt_is_refused_without_a_word_of_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "secret.txt").write_text("[default]\naws_secret_access_key = planted/secret\n")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "flow.yaml").write_text(_FLOW.format(name="a", prompt=name))
    problems = [str(problem) for problem in scan_flow(folder / "flow.yaml").errors]
    assert problems
    assert not any("planted" in problem for problem in problems), problems


def test_a_link_that_leads_in_a_circle_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "prompt.yaml").symlink_to(tmp_path / "prompt.yaml")
    (tmp_path / "flow.yaml").write_text(_FLOW.format(name="a", prompt="prompt.yaml"))
    assert ["does not exist" in str(problem) for problem in scan_flow(tmp_path / "flow.yaml").errors] == [True]


@pytest.mark.parametrize("way", OUT)
def test_a_record_of_a_store_leads_nowhere_else(way: str) -> None:
    if way:
        with pytest.raises(ValidationError):
            DatasetRef(uri=f"checkpoints/{way}", rows=1, fingerprint="f", columns=())
    if way != "":
        with pytest.raises(ValidationError):
            FileMark(name=way, size=1, checksum="c")


def test_a_forged_record_moves_and_reads_nothing_outside(tmp_path: Path, tried: Callable[[str, int], None]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file.arrow").write_bytes(b"not yours")
    root = Root.at(tmp_path / "store")
    folder = checkpoint_folder("block", "key")
    rows = with_ids(pa.table({"a": ["x"]}), ["id-x"])
    made = write_checkpoint(root, folder, [rows], Counts(rows_in=1), [], "run", 0.5)
    forged = 0
    for uri, name in [
        ("../outside", "file.arrow"),
        (f"{folder}/..", "file.arrow"),
        (f"{folder}/../../../../outside", "file.arrow"),
        (str(outside), "file.arrow"),
        (made.folder, "../../../../../outside/file.arrow"),
        (made.folder, str(outside / "file.arrow")),
    ]:
        told = made.model_dump()
        told["parts"][0]["uri"] = uri
        told["parts"][0]["file"]["name"] = name
        root.write(sealed(canonical({"result": canonical({"data": told}).decode()})), folder, RECORD)
        assert recall(root, folder, "other") is None
        forged += 1
    assert (outside / "file.arrow").read_bytes() == b"not yours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "store"]
    tried("forged records of checkpoints", forged)


@pytest.mark.parametrize("way", ["../secret.arrow", "/etc/passwd", "data/../../secret.arrow"])
def test_a_folder_of_rows_names_no_file_outside(way: str, tmp_path: Path) -> None:
    (tmp_path / "secret.arrow").write_bytes(b"")
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": way}]}))
    with pytest.raises(InputError, match="which is not in the folder"):
        read_seeds(str(folder))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [way]}))
    with pytest.raises(InputError, match="which is not in the folder"):
        read_seeds(str(folder))


@pytest.mark.parametrize("value", ["..", "../x", "a/../../b"])
def test_a_partition_does_not_lead_out_of_its_folder(value: str) -> None:
    asked = RunOptions(flow="flow.yaml", input="in/{region}.jsonl", output="out/{region}.jsonl", partition=(f"region={value}",))
    with pytest.raises(FlowError, match="leads out of the folder"):
        of_partition(asked)


@pytest.mark.parametrize("name", ["{date.__class__}", "{date.year}", "{region!r}", "{0}", "{region[0]}"])
def test_a_partition_is_no_format_of_python(name: str) -> None:
    asked = RunOptions(flow="flow.yaml", input=f"in/{name}.jsonl", output="out.jsonl")
    filled = of_partition(asked).input
    assert filled is not None
    assert "class" not in filled.replace("__class__", "")
    assert filled.endswith((f"{name}.jsonl", ".jsonl"))


@pytest.mark.parametrize("split", ["../x=1", "a/b=1", "/x=1", ".=1", "..=1"])
def test_a_split_is_the_name_of_a_file(split: str) -> None:
    with pytest.raises(FlowError, match="is no split"):
        parse_splits(split)
