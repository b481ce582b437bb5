"""Completions are found again by the shard that received them, by later runs, and by shards of other rows."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect.store.ledger import written
from sdg_prefect.store.ledger.completions import BlockLedger, open_ledger
from sdg_prefect.store.ledger.files import files_of
from sdg_prefect.store.ledger.segments import encode_index, encode_line, scan
from sdg_prefect.store.root import Root
from tests.unit.store.ledgers import FIRST, SECOND, THIRD, files, find_all, keep_all, numbered, on, read, write

ROOT = Path(__file__).parents[3]


def test_what_is_kept_is_found_by_the_same_shard(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        assert await shard.find("k") is None
        shard.keep("k", {"text": "a"})
        assert await shard.find("k") == {"text": "a"}
        await shard.flush()
        await asyncio.to_thread(shard.seal)
        assert await shard.find("k") == {"text": "a"}

    on(place, FIRST, work)


def test_what_was_waited_for_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced: list[int] = []

    def noting(file: int) -> None:
        os.fsync(file)
        forced.append(os.fstat(file).st_size)

    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        for number in range(3):
            await keep_all(shard, numbered(50))
            [name] = files(str(tmp_path))
            assert forced[-1] == (tmp_path / "ledger" / "ask" / name).stat().st_size
            assert len(forced) == number + 1
            await shard.flush()
            assert len(forced) == number + 1

    monkeypatch.setattr(written, "_fdatasync", noting)
    on(str(tmp_path), FIRST, work)


def test_completions_are_forced_to_the_disk_while_others_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forced = asyncio.Event()

    async def work(ledger: BlockLedger) -> None:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(written, "_fdatasync", lambda _: loop.call_soon_threadsafe(forced.set))
        ledger.shard("c").keep("k", {"text": "a"})
        await asyncio.wait_for(forced.wait(), 60)

    on(str(tmp_path), FIRST, work)


@pytest.mark.parametrize("seals", [True, False], ids=["sealed", "not sealed"])
@pytest.mark.parametrize("content", ["c", "d"], ids=["same rows", "other rows"])
def test_a_later_run_finds_what_an_earlier_one_kept(place: str, content: str, seals: bool) -> None:
    records = numbered(150)
    write(place, FIRST, "c", records, seals=seals)
    assert read(place, content, [*records, "unknown"]) == [*records.values(), None]
    assert open_ledger(Root.at(place), "ask").find(content, [*records, "unknown"]) == records


def test_a_sealed_shard_is_one_segment_and_its_index(place: str) -> None:
    write(place, FIRST, "c", numbered(150))
    index, segment = files(place)
    assert index.startswith(f"c/{FIRST}-")
    assert index.removesuffix(".index") == segment.removesuffix(".jsonl")
    lines = Root.at(place).read("ledger/ask", segment).splitlines()
    assert {json.loads(line)["key"] for line in lines} == set(numbered(150))


def test_a_shard_that_received_nothing_leaves_nothing(place: str) -> None:
    write(place, FIRST, "c", {})
    assert read(place, "c", ["k"]) == [None]
    assert files(place) == []


@pytest.mark.parametrize("content", ["c", "d"], ids=["same rows", "other rows"])
def test_the_later_of_two_completions_counts(place: str, content: str) -> None:
    write(place, SECOND, "c", {"k": {"text": "later"}})
    write(place, FIRST, "c", {"k": {"text": "earlier"}})
    assert read(place, content, ["k"]) == [{"text": "later"}]


def test_the_later_of_two_completions_of_one_run_counts(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        await keep_all(shard, {"k": {"text": "earlier"}} | numbered(63))
        await keep_all(shard, {"k": {"text": "later"}} | numbered(63))
        assert await shard.find("k") == {"text": "later"}

    on(place, FIRST, work)
    assert read(place, "c", ["k"]) == read(place, "d", ["k"]) == [{"text": "later"}]


def test_a_completion_for_the_same_rows_comes_before_a_later_one_for_others(place: str) -> None:
    write(place, FIRST, "c", {"k": {"text": "same rows"}})
    write(place, SECOND, "d", {"k": {"text": "others"}})
    assert read(place, "c", ["k"]) == [{"text": "same rows"}]


def test_a_shard_that_was_opened_beforehand_is_not_read_again(place: str, asked: list[str]) -> None:
    write(place, FIRST, "c", numbered(5))
    asked.clear()

    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        await shard.open()
        await shard.open()
        assert await find_all(shard, numbered(5)) == list(numbered(5).values())

    on(place, SECOND, work)
    assert len(asked) == 2


def test_what_another_run_wrote_for_the_same_rows_is_seen_when_the_shard_is_opened(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        assert await ledger.shard("c").find("k") is None
        await asyncio.to_thread(write, place, SECOND, "c", {"k": {"text": "a"}})
        assert await ledger.shard("c").find("k") == {"text": "a"}

    on(place, FIRST, work)


def test_another_block_of_the_same_run_finds_what_a_sealed_shard_received(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        await find_all(shard, numbered(100))
        await keep_all(shard, numbered(100))
        await asyncio.to_thread(shard.seal)
        assert await find_all(ledger.shard("d"), numbered(100)) == list(numbered(100).values())

    on(place, FIRST, work)


def test_what_a_killed_run_left_is_put_in_order_by_the_next_one(place: str) -> None:
    write(place, FIRST, "c", numbered(100), seals=False)
    assert not any(name.endswith(".index") for name in files(place))

    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        assert await find_all(shard, numbered(100)) == list(numbered(100).values())
        await asyncio.to_thread(shard.seal)

    on(place, SECOND, work)
    assert [name.rpartition(".")[2] for name in files(place)] == ["index", "jsonl"]
    assert read(place, "d", numbered(100)) == list(numbered(100).values())


def test_segments_that_are_joined_while_another_run_reads_are_found_under_their_new_name(place: str) -> None:
    write(place, FIRST, "c", numbered(100), seals=False)

    async def seal_others(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        await shard.find("key 1")
        await asyncio.to_thread(shard.seal)

    async def work(ledger: BlockLedger) -> None:
        assert await ledger.shard("d").find("key 0") is not None
        await asyncio.to_thread(on, place, SECOND, seal_others)
        assert await find_all(ledger.shard("e"), numbered(100)) == list(numbered(100).values())

    on(place, THIRD, work)


def test_looking_only_changes_nothing(place: str) -> None:
    root = Root.at(place)
    write(place, FIRST, "c", numbered(10), seals=False)
    root.write(b'{"sum": "damaged"}\n' + encode_line("k", {"text": "a"}), f"ledger/ask/c/{SECOND}-1.jsonl")
    before = files(place)
    ledger = open_ledger(root, "ask")
    assert (
        ledger.find("c", ["k", "key 1"])
        == ledger.find("d", ["k", "key 1"])
        == {"k": {"text": "a"}, "key 1": numbered(2)["key 1"]}
    )
    assert files(place) == before


def test_a_sample_is_taken_evenly_from_the_latest_shards(place: str) -> None:
    write(place, FIRST, "c", {"old": {"number": -1}})
    write(place, SECOND, "c", {str(number): {"number": number} for number in range(1000)})
    sample = [record["number"] for record in open_ledger(Root.at(place), "ask").sample(100)]
    assert len(set(sample)) == 100
    assert min(sample) >= 0
    assert 350 < sum(sample) / 100 < 650
    assert len(open_ledger(Root.at(place), "ask").sample(5000)) == 1001
    assert open_ledger(Root.at(place), "nothing").sample(10) == []


def test_two_processes_write_and_read_one_shard_at_once(place: str) -> None:
    code = """
import asyncio, sys
from sdg_prefect.store.ledger.completions import BlockLedger
from sdg_prefect.store.root import Root

async def main(place, run_id):
    ledger = BlockLedger(Root.at(place), "ask", run_id)
    shard = ledger.shard("c")
    async def one(number):
        if await shard.find(str(number)) is None:
            shard.keep(str(number), {"by": run_id, "text": "x" * 5000})
    for start in range(0, 300, 100):
        await asyncio.gather(*(one(number) for number in range(start, start + 100)))
        await shard.flush()
    await asyncio.to_thread(shard.seal)

asyncio.run(main(*sys.argv[1:]))
"""
    started = [subprocess.Popen([sys.executable, "-c", code, place, run_id], cwd=ROOT) for run_id in (FIRST, SECOND)]
    assert [process.wait() for process in started] == [0, 0]
    found = read(place, "c", map(str, range(300)))
    assert all(record is not None and record["text"] == "x" * 5000 for record in found)
    assert not files_of(Root.at(place)).sizes("damaged")


def test_a_fresh_store_is_asked_once_for_each_shard_and_never_for_a_key(place: str, asked: list[str]) -> None:
    async def work(ledger: BlockLedger) -> None:
        for content in ("c", "d", "e"):
            assert set(await find_all(ledger.shard(content), numbered(200))) == {None}

    on(place, FIRST, work)
    assert len(asked) == 4  # all shards, when the first key was not found, and each one


def test_opening_a_shard_reads_its_own_segments_only(place: str, asked: list[str]) -> None:
    shards, size = 40, 5000
    for number in range(shards):
        data = b"".join(encode_line(f"{number}-{row}", {"text": "x" * 50}) for row in range(size))
        files_at = f"ledger/ask/{number:04d}/{FIRST}-{number:020d}"
        Root.at(place).write(data, f"{files_at}.jsonl")
        Root.at(place).write(encode_index(scan(data).entries, len(data)), f"{files_at}.index")
    asked.clear()

    async def own(ledger: BlockLedger) -> None:
        found = await find_all(ledger.shard("0007"), (f"7-{row}" for row in range(size)))
        assert None not in found

    on(place, SECOND, own)
    assert len([name for name in asked if "ledger/ask/0007" in name]) == len(asked) == 2  # its folder, and the one segment in it
    asked.clear()

    async def others(ledger: BlockLedger) -> None:
        found = await find_all(ledger.shard("other"), (f"{number}-{row}" for number in (7, 8) for row in range(size)))
        assert None not in found

    on(place, SECOND, others)
    # Its folder, all folders, their indexes, and one range of each of the two segments.
    listed = 2 if place.startswith("s3://") else 2 + shards
    assert len(asked) == listed + shards + 2


@pytest.fixture
def asked(place: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests to S3, or the local files and folders of the ledger that were opened."""
    if place.startswith("s3://"):
        from tests.s3 import note_requests

        return note_requests(monkeypatch)
    seen: list[str] = []

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event in ("open", "os.scandir") and str(args[0]).startswith(f"{place}/ledger"):
            seen.append(str(args[0]))

    sys.addaudithook(note)
    return seen


def test_reading_says_nothing_in_the_log(place: str, caplog: pytest.LogCaptureFixture) -> None:
    write(place, FIRST, "c", numbered(3), seals=False)
    with caplog.at_level(logging.WARNING, "sdg_prefect.run"):
        assert read(place, "c", numbered(3)) == read(place, "d", numbered(3)) == list(numbered(3).values())
    assert [record for record in caplog.records if record.name.startswith("sdg_prefect")] == []
