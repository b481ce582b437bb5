"""What a manifest says of files: their hashes, and where they are."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from sdg_prefect.store.manifest import address_of, files_at, files_of, revision_of


def test_all_files_that_seeds_are_read_from_are_hashed_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a/one.jsonl", "a/two.jsonl", "b/deep/one.jsonl", "a/notes.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f'{{"text": "{name}"}}\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    found = {file["name"]: file["sha256"] for file in files_of("**/*.jsonl")}
    assert set(found) == {"a/one.jsonl", "a/two.jsonl", "b/deep/one.jsonl"}
    assert all(hash_ == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name, hash_ in found.items())
    assert [file["name"] for file in files_of("a")] == ["one.jsonl", "two.jsonl"]
    assert (
        [file["name"] for file in files_of("a/one.jsonl")] == [file["name"] for file in files_at("a/one.jsonl")] == ["one.jsonl"]
    )
    assert files_of("gone.jsonl") == files_at("gone.jsonl") == files_of("s3://bucket/a.jsonl") == files_of("hf:org/name") == []


def test_a_place_has_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_of("my rows.jsonl") == address_of(str(tmp_path / "my rows.jsonl")) == f"{tmp_path.as_uri()}/my%20rows.jsonl"
    assert (address_of("s3://bucket/a"), address_of("hf:org/name")) == ("s3://bucket/a", "hf://org/name")


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_a_flow_in_a_checkout_is_told_with_its_revision_and_its_path_there(tmp_path: Path) -> None:
    flow = tmp_path / "flows" / "flow.yaml"
    flow.parent.mkdir()
    flow.write_text("blocks: []\n", "utf-8")
    assert revision_of(str(flow)) is None
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    told = revision_of(str(flow))
    assert told is not None
    assert (len(told["revision"]), told["is_changed"], told["path"]) == (40, False, "flows/flow.yaml")
    flow.write_text("blocks: [1]\n", "utf-8")
    assert (revision_of(str(flow)) or {})["is_changed"]
