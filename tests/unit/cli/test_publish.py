"""``publish``: rows of a file as a dataset, in a folder and on a Hub of our own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.hub import Hub, serving

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Told


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in which ten documents have ten questions each."""
    monkeypatch.chdir(tmp_path)
    made = [{"document": f"document {number // 10}", "question": f"question {number}"} for number in range(100)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub, to which the environment leads."""
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        # Its own protocol for large files is for its own servers.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield hub


def test_rows_that_are_equal_in_a_column_stay_in_one_split(told: Told) -> None:
    words = (
        "publish",
        "rows.jsonl",
        "--output",
        "made",
        "--split",
        "train=0.5,test=0.5",
        "--group-by",
        "document",
        "--license",
        "cc0-1.0",
    )
    code, out, err = told(*words)
    assert (code, out) == (0, "made\n"), err
    parts = {
        name: set(pq.read_table(f"made/data/{name}-00000-of-00001.parquet").column("document").to_pylist())
        for name in ("train", "test")
    }
    assert len(parts["train"] | parts["test"]) == 10
    assert not parts["train"] & parts["test"]
    card = Path("made/README.md").read_text()
    assert "license: cc0-1.0" in card
    assert "Rows of one value of document are all in one split" in card


def test_nothing_that_somebody_else_wrote_is_replaced(told: Told) -> None:
    card, own = Path("README.md"), Path("data/seeds.parquet")
    own.parent.mkdir()
    own.write_bytes(b"mine")
    words = ("publish", "rows.jsonl", "--output", ".")
    assert told(*words)[0] == 0
    first = card.read_text("utf-8")
    assert told(*words, "--split", "train=0.5,test=0.5")[0] == 0
    assert card.read_text("utf-8") != first
    for text in ("My project\n", card.read_text("utf-8").replace("synthetic", "my own"), ""):
        card.write_text(text, "utf-8")
        code, _, err = told(*words)
        assert (code, card.read_text("utf-8")) == (2, text)
        assert "--no-card" in err
        assert Path("data/test-00000-of-00001.parquet").exists()
    assert told(*words, "--no-card")[0] == 0
    assert (card.read_text("utf-8"), own.read_bytes()) == ("", b"mine")
    assert not Path("data/test-00000-of-00001.parquet").exists()


def test_a_dataset_is_put_on_the_hub_in_one_commit_and_replaces_what_was_there(told: Told, hub: Hub) -> None:
    code, out, err = told(
        "publish", "rows.jsonl", "--hub", "people/made", "--private", "--split", "train=0.9,test=0.1", "--group-by", "document"
    )
    assert (code, out) == (0, f"{hub.url}/datasets/people/made\n"), err
    assert hub.repos["people/made"]["visibility"] == "private"
    assert sorted(hub.files["people/made"]) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    assert hub.commits == ["100 rows of rows"]
    code, _, err = told("publish", "rows.jsonl", "--hub", "people/made", "--no-card")
    assert code == 0, err
    assert sorted(hub.files["people/made"]) == ["README.md", "data/train-00000-of-00001.parquet"]
    assert pq.read_table(io.BytesIO(hub.files["people/made"]["data/train-00000-of-00001.parquet"])).num_rows == 100
    assert len(hub.commits) == 2


def test_a_hub_that_refuses_or_is_not_there_is_told_on_one_line(told: Told, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, out, err = told("publish", "rows.jsonl", "--hub", "people/made")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("the Hub refuses people/made: ")
    assert err.endswith("Log in with 'hf auth login', or put a token that may write into the variable HF_TOKEN.\n")
    assert "hf_wrong" not in err
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    code, _, err = told("publish", "rows.jsonl", "--hub", "people/made", "--output", "made")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("the Hub cannot be reached: ")
    assert Path("made/data").is_dir()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("rows.jsonl",), "nothing was said of where the dataset goes. Name a folder with --output, or the Hub with --hub."),
        (
            ("rows.jsonl", "--output", "made", "--group-by", "documnt"),
            "--group-by: the rows have no column 'documnt'. Did you mean 'document'?",
        ),
        (("rows.jsonl", "--output", "made", "--split", "train=2"), "'train=2' is no split with a share above 0"),
        (("rows.jsonl", "--hub", "a/b/c"), "--hub: "),
        (("row.jsonl", "--output", "made"), "row.jsonl"),
        (("--output", "made", "--storage", "empty"), "has no runs."),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_written(told: Told, words: tuple[str, ...], says: str) -> None:
    code, out, err = told("publish", *words)
    assert (code, out) == (2, "")
    assert says in err
    assert not Path("made").exists()
