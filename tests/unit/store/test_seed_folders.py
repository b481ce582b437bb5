"""Seeds of several files: folders, patterns, splits."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from sdg_prefect.errors import InputError
from sdg_prefect.store.seeds import peek_columns, read_seeds
from tests.unit.store.seed_files import ROWS, lines, rows_of, write


def test_a_folder_or_pattern_of_one_kind_is_read_in_order_of_names(tmp_path: Path) -> None:
    write(tmp_path, "many/b.jsonl", lines({"a": 2, "b": "x"}))
    write(tmp_path, "many/a.jsonl", lines({"a": 1}))
    write(tmp_path, "many/README.md", "x")
    write(tmp_path, "many/.hidden.jsonl", "x")
    for source in (str(tmp_path / "many"), str(tmp_path / "many" / "*.jsonl")):
        assert rows_of(read_seeds(source)) == [{"a": 1, "b": None}, {"a": 2, "b": "x"}]
        assert peek_columns(source) == ("a", "b")
        assert read_seeds(source, limit=1).num_rows == 1


def test_a_type_that_changes_between_files_is_told_with_the_file(tmp_path: Path) -> None:
    write(tmp_path, "many/a.jsonl", lines({"a": 1}))
    second = write(tmp_path, "many/b.jsonl", lines({"a": "x"}))
    with pytest.raises(InputError) as error:
        read_seeds(str(tmp_path / "many"))
    assert str(error.value).startswith(f"{second}:1  column 'a' holds text here but a number before.")
    pq.write_table(pa.table({"a": [1]}), write(tmp_path, "tables/a.parquet", ""))
    pq.write_table(pa.table({"a": ["x"]}), write(tmp_path, "tables/b.parquet", ""))
    with pytest.raises(InputError, match=r"b\.parquet  column 'a' is of type string here but int64 before\."):
        read_seeds(str(tmp_path / "tables"))


def test_a_name_with_brackets_is_a_name_before_it_is_a_pattern(tmp_path: Path) -> None:
    assert rows_of(read_seeds(write(tmp_path, "a[1].jsonl", lines({"a": 1})))) == [{"a": 1}]


def test_folders_without_seeds_or_with_several_kinds_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path, "mixed/a.csv", "a\n1\n")
    write(tmp_path, "mixed/b.jsonl", "{}")
    with pytest.raises(InputError, match=r"no file of seeds is there"):
        read_seeds(str(tmp_path / "empty"))
    with pytest.raises(InputError, match=r"files of several kinds are there: CSV, JSON lines\. Name one kind, such as '\*\.csv'"):
        read_seeds(str(tmp_path / "mixed"))


def test_several_splits_without_train_are_told(tmp_path: Path) -> None:
    rows = Dataset.from_list(ROWS)
    DatasetDict({"dev": rows, "test": rows}).save_to_disk(tmp_path / "dict")
    with pytest.raises(InputError, match=r"has several splits and none called 'train'\. Name one of them: .*/dict/dev"):
        read_seeds(str(tmp_path / "dict"))
    assert read_seeds(str(tmp_path / "dict" / "dev")).num_rows == 2
    assert read_seeds(f"hf:{tmp_path / 'dict'}@test").num_rows == 2


def test_a_local_folder_is_read_as_the_hub_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    write(tmp_path, "data/train.jsonl", lines(*ROWS))
    write(tmp_path, "data/test.jsonl", lines(ROWS[0]))
    assert rows_of(read_seeds(f"hf:{tmp_path / 'data'}")) == ROWS
    assert rows_of(read_seeds(f"hf:{tmp_path / 'data'}@test")) == [ROWS[0]]
    assert peek_columns(f"hf:{tmp_path / 'data'}") == ("question", "score", "level")
    with pytest.raises(InputError, match=r"cannot be loaded: .*split"):
        read_seeds(f"hf:{tmp_path / 'data'}@dev")
    with pytest.raises(InputError, match=r"names no dataset"):
        read_seeds("hf:")
