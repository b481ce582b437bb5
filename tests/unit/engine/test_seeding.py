"""Seeds of a run: once they are in the store it does not hold them, and reads them again if they are damaged there."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.seeding import Seeds, read_input
from sdg_prefect.engine.shard import Shard
from sdg_prefect.errors import InputError, StoreError
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shard
from tests.damage import flip


def stored(tmp_path: Path, text: str) -> tuple[Root, list[Shard]]:
    """Put the seeds of a file into a store, and damage the first of their shards."""
    source = tmp_path / "seeds.jsonl"
    source.write_text(text)
    options = RunOptions(flow="flow.yaml", input=str(source), storage=str(tmp_path / "store"))
    root, seeds = Root.chosen(options.storage), Seeds(read_input(options), options)
    assert seeds.rows == 3
    shards = seeds.store(root, seeds.folder(2), 2, "run")
    assert shards[0].ref.file is not None
    flip(Path(root.path(shards[0].ref.uri, shards[0].ref.file.name)))
    return root, shards


def test_damaged_seeds_are_read_again(tmp_path: Path) -> None:
    root, shards = stored(tmp_path, '{"a": 1}\n{"a": 2}\n{"a": 3}\n')
    again = asyncio.run(shards[0].remade())
    assert again.ref == shards[0].ref
    assert read_shard(root, again.ref).column("a").to_pylist() == [1, 2]


def test_damaged_seeds_that_have_changed_since_end_the_run_with_a_line_that_says_so(tmp_path: Path) -> None:
    _, shards = stored(tmp_path, '{"a": 1}\n{"a": 2}\n{"a": 3}\n')
    (tmp_path / "seeds.jsonl").write_text('{"a": 4}\n')
    with pytest.raises(StoreError, match="the seeds are not those any more that the run began with") as failure:
        asyncio.run(shards[0].remade())
    assert failure.value.hint == "The same command begins with the seeds as they are now."


def test_seeds_that_are_in_the_store_are_held_nowhere_else(tmp_path: Path) -> None:
    options = RunOptions(flow="flow.yaml", input=[{"a": 1}], storage=str(tmp_path))
    table = read_input(options)
    held, seeds = weakref.ref(table), Seeds(table, options)
    del table
    shards = seeds.store(Root.chosen(options.storage), seeds.folder(1), 1, "run")
    gc.collect()
    assert (held(), len(shards)) == (None, 1)


def test_a_run_without_seeds_says_how_to_name_them() -> None:
    with pytest.raises(InputError, match="there are no seeds"):
        read_input(RunOptions(flow="flow.yaml"))
