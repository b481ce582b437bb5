"""Tables that are put into a file come back as they were, and nothing is left of it."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

import sdg_prefect.spill
from sdg_prefect.errors import StoreError
from sdg_prefect.spill import Spill, SpillFile, spilled

TABLES = [
    pa.table({"a": ["é", None]}),
    pa.table({"b": [1.5]}),
    pa.table({"a": pa.array([], pa.string())}),
    pa.table({"a": ["x"] * 99}),
]


@pytest.fixture
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdg_prefect.spill, "_HELD_BYTES", 0)


@pytest.mark.usefixtures("_no_memory")
def test_tables_come_back_mapped_in_their_order(tmp_path: Path) -> None:
    before = pa.total_allocated_bytes()
    back = spilled(TABLES, str(tmp_path / "new"))
    assert [one.to_pydict() for one in back] == [one.to_pydict() for one in TABLES]
    assert [one.schema for one in back] == [one.schema for one in TABLES]
    assert pa.total_allocated_bytes() - before < 64


@pytest.mark.usefixtures("_no_memory")
def test_the_file_has_no_name_and_is_closed_with_its_last_table(tmp_path: Path) -> None:
    gc.collect()
    count = len(os.listdir("/proc/self/fd"))
    back = spilled(TABLES, str(tmp_path))
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == count + 1
    last = back[-1]
    del back
    assert last.num_rows == 99
    del last
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == count


def test_few_rows_make_no_file(tmp_path: Path) -> None:
    assert spilled(TABLES, str(tmp_path / "none")) == TABLES
    assert not (tmp_path / "none").exists()


def test_no_tables_are_no_tables() -> None:
    assert Spill().tables() == []


def test_an_empty_file_can_be_read(tmp_path: Path) -> None:
    assert SpillFile(str(tmp_path)).buffer().size == 0


@pytest.mark.usefixtures("_no_memory")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
def test_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: open("/dev/full", "wb", buffering=0))  # noqa: SIM115
    with pytest.raises(StoreError, match=r"cannot write to .*: No space left on device") as failure:
        spilled(TABLES, str(tmp_path))
    assert failure.value.hint == "Free some space; the same command goes on from here."


def test_a_folder_that_cannot_be_made_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write to .*: Not a directory"):
        SpillFile(str(tmp_path / "file" / "tmp"))
