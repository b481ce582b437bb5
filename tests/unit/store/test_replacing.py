"""An output that is replaced is the old one or the whole new one, wherever the process is killed."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Dataset

from sdg_prefect.rows import without_ids
from sdg_prefect.store.output import write_output
from sdg_prefect.store.seeds import read_seeds

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.listdir", "os.scandir", "shutil.rmtree", "fcntl.flock"}
OLD = pa.table({"text": ["old"] * 20, "number": list(range(20))})
NEW = pa.table({"text": ["new"] * 30, "number": list(range(30))})


def write(target: Path, table: pa.Table) -> None:
    write_output(str(target), [table], table.schema)


def save_by_datasets(target: Path, table: pa.Table) -> None:
    Dataset(table).save_to_disk(target, num_shards=2)


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do something in a process of its own that kills itself before its so many-th step on disk; False if it ended before."""
    child = os.fork()
    if not child:
        left = [step]

        def count(event: str, _words: object) -> None:
            if event in STEPS:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.jsonl", write),
        ("a.jsonl", None),
        ("a.parquet", write),
        ("folder", write),
        ("folder", save_by_datasets),
        ("folder", None),
    ],
)
def test_an_output_is_old_or_new_at_whatever_step_its_writer_is_killed(
    name: str, save: Callable[[Path, pa.Table], None] | None, tmp_path: Path
) -> None:
    target = tmp_path / name
    whole: list[pa.Table] = [NEW]
    if save is not None:
        save(target, OLD)
        whole.append(OLD)
    step = 1
    while killed_at(step, lambda: write(target, NEW)):
        if save is not None or target.exists():
            assert without_ids(read_seeds(str(target))) in whole, f"killed at step {step}"
        step += 1
    assert step > 4
    assert without_ids(read_seeds(str(target))) == NEW
    assert list(tmp_path.iterdir()) == [target]
    if target.is_dir():
        assert len(list(target.iterdir())) == 3


def test_what_another_process_is_still_writing_is_not_swept_away(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    seen: list[str] = []

    def tables() -> object:
        write(target, NEW)
        seen.extend(path.name for path in tmp_path.iterdir() if path != target)
        yield OLD

    write_output(str(target), tables(), OLD.schema)  # type: ignore[arg-type]
    assert len(seen) == 1
    assert without_ids(read_seeds(str(target))) == OLD
    assert list(tmp_path.iterdir()) == [target]
