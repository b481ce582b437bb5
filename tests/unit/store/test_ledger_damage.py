"""Damage to the ledger costs the damaged completions and no others, and a disk that is full is said in words."""

import asyncio
import subprocess
import sys
from pathlib import Path
from unittest.mock import ANY

import pytest
import s3fs

from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.completions import BlockLedger, open_ledger
from sdg_prefect.store.ledger.files import files_of
from sdg_prefect.store.ledger.segments import SegmentPath, decode_index, encode_index, encode_line, scan
from sdg_prefect.store.root import Root
from tests.damage import flipped
from tests.unit.store.ledgers import FIRST, SECOND, THIRD, files, keep_all, numbered, on, read, write

ROOT = Path(__file__).parents[3]
NAME = f"{FIRST}-0001"
PATH = f"ledger/ask/c/{NAME}.jsonl"
RECORDS = numbered(20)
DATA = b"".join(encode_line(key, record) for key, record in RECORDS.items())


def put(place: str, data: bytes, *, index: bytes | None = None) -> None:
    """Write a segment as it is, with an index or without."""
    root = Root.at(place)
    root.write(data, PATH)
    if index is not None:
        root.write(index, SegmentPath(PATH).index)


def good_index(data: bytes = DATA) -> bytes:
    return encode_index(scan(data).entries, len(data))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("sdg_prefect")]


@pytest.mark.parametrize("content", ["c", "d"], ids=["same rows", "other rows"])
def test_a_line_that_a_crash_cut_short_is_passed_over_without_a_word(
    place: str, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    put(place, DATA[:-10])
    assert read(place, content, RECORDS) == [*list(RECORDS.values())[:-1], None]
    assert said(caplog) == []
    assert files(place) == [f"c/{NAME}.index", f"c/{NAME}.jsonl"]
    assert read(place, content, RECORDS) == [*list(RECORDS.values())[:-1], None]


def test_any_flipped_byte_costs_one_completion_at_most() -> None:
    for at in range(len(DATA)):
        damaged = flipped(DATA, at)
        found = scan(damaged)
        good = {damaged[start : start + length] for _, start, length in found.entries.tolist()}
        assert good < {line for line in DATA.split(b"\n") if line} or good == set(DATA.splitlines())
        assert len(good) >= len(RECORDS) - 1
        assert found.damaged or at == len(DATA) - 1


@pytest.mark.parametrize("is_indexed", [True, False], ids=["indexed", "not indexed"])
@pytest.mark.parametrize("content", ["c", "d"], ids=["same rows", "other rows"])
def test_a_damaged_segment_is_set_aside_and_its_good_lines_are_used(
    place: str, content: str, is_indexed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = flipped(DATA, DATA.index(b"key 7") + 20)
    put(place, damaged, index=good_index() if is_indexed else None)
    found = read(place, content, RECORDS, SECOND)
    assert found == [None if key == "key 7" else record for key, record in RECORDS.items()]
    root = Root.at(place)
    [warning] = said(caplog)
    assert warning.startswith(f"{root.url(PATH)} has 1 damaged line: set aside in {root.url('damaged', PATH)}.")
    assert root.read("damaged", PATH) == damaged
    assert files(place) == [f"c/{NAME}-salvaged.index", f"c/{NAME}-salvaged.jsonl"]
    caplog.clear()
    assert read(place, content, RECORDS, THIRD) == found
    assert said(caplog) == []


def test_salvaged_lines_keep_their_place_in_the_order(place: str) -> None:
    put(place, encode_line("k", {"text": "old"}) + b"damaged\n")
    write(place, SECOND, "c", {"k": {"text": "new"}})
    assert read(place, "c", ["k"]) == read(place, "d", ["k"]) == [{"text": "new"}]


def test_an_older_completion_stands_in_for_a_damaged_one(place: str) -> None:
    write(place, "20250101-000000-aaaaaa", "c", {"key 0": {"text": "old"}})
    put(place, flipped(DATA, 40), index=good_index())
    assert read(place, "d", RECORDS) == [{"text": "old"}, *list(RECORDS.values())[1:]]


@pytest.mark.parametrize(
    "index",
    [b"", b"short", good_index()[:-1], good_index() + b"x", flipped(good_index(), 60), good_index(DATA + DATA[:9]), bytes(200)],
    ids=["empty", "short", "cut", "too long", "flipped", "of other data", "zeros"],
)
@pytest.mark.parametrize("content", ["c", "d"], ids=["same rows", "other rows"])
def test_a_damaged_index_is_written_anew(tmp_path: Path, content: str, index: bytes, caplog: pytest.LogCaptureFixture) -> None:
    place = str(tmp_path)
    put(place, DATA, index=index)
    assert read(place, "d", RECORDS) == list(RECORDS.values())
    assert decode_index(Root.at(place).read(SegmentPath(PATH).index), len(DATA)) is not None
    assert said(caplog) == []


def test_a_segment_that_was_cut_after_it_was_sealed_gives_what_is_left(place: str) -> None:
    half = DATA[: len(DATA) // 2]
    put(place, half, index=good_index())
    whole = scan(half)
    found = read(place, "d", RECORDS)
    assert [record for record in found if record] == list(RECORDS.values())[: len(whole.entries)]
    assert found == read(place, "c", RECORDS)


def test_a_damaged_segment_that_is_being_written_stays_where_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    place = str(tmp_path)

    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        await keep_all(shard, RECORDS)
        [name] = files(place)
        path = tmp_path / "ledger" / "ask" / name
        with open(path, "r+b") as file:
            file.seek(40)
            file.write(b"\0")
        found = await asyncio.to_thread(read, place, "c", RECORDS)
        assert found == [None, *list(RECORDS.values())[1:]]
        shard.keep("late", {"text": "kept"})

    on(place, FIRST, work)
    assert "it stays where it is while another run writes to it" in said(caplog)[0]
    assert read(place, "c", ["late"]) == [{"text": "kept"}]
    assert list(files_of(Root.at(place)).sizes("damaged"))


def test_damage_that_is_only_looked_at_is_left_alone(place: str) -> None:
    put(place, flipped(DATA, 40), index=good_index())
    for content in ("c", "d"):
        found = open_ledger(Root.at(place), "ask").find(content, list(RECORDS))
        assert list(found.values()) == list(RECORDS.values())[1:]
    assert files(place) == [f"c/{NAME}.index", f"c/{NAME}.jsonl"]


FULL = """
import asyncio, os, resource, sys
from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.completions import BlockLedger
from sdg_prefect.store.root import Root

if sys.argv[2] == "no way back":
    def failing(*_):
        raise OSError(5, "Input/output error")
    os.ftruncate = failing

async def main(place):
    ledger = BlockLedger(Root.at(place), "ask", "20260101-000001-aaaaaa")
    shard = ledger.shard("c")
    shard.keep("before", {"text": "x" * 1000})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        shard.keep("too much", {"text": "x" * 1000})
    except StoreError as error:
        print(error)
    assert await shard.find("too much") is None
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shard.keep("after", {"text": "y"})
    await asyncio.to_thread(shard.seal)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("then", ["taken back", "no way back"])
def test_half_a_line_on_a_full_disk_does_not_harm_the_next(tmp_path: Path, then: str, caplog: pytest.LogCaptureFixture) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), then]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"cannot write {tmp_path}/ledger/ask/c/20260101-000001-aaaaaa-")
    assert ": File too large. All completions before it are kept." in ran.stdout
    keys = ["before", "too much", "after"]
    expected = [{"text": "x" * 1000}, None, {"text": "y"}]
    assert read(str(tmp_path), "d", keys) == read(str(tmp_path), "c", keys) == expected
    assert said(caplog) == []


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("in the way")

    async def work(ledger: BlockLedger) -> None:
        assert await ledger.shard("c").find("k") is None
        with pytest.raises(
            StoreError, match=r"^cannot write .*ledger/ask/c/.*\.jsonl: (Not a directory|File exists)\. All"
        ) as error:
            ledger.shard("c").keep("k", {})
        assert "\n" not in str(error.value)

    on(str(tmp_path), FIRST, work)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_completions_that_s3_does_not_take_are_told_to_whoever_relies_on_them(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        for number in range(65):
            shard.keep(str(number), {})
        with pytest.raises(StoreError, match="cannot write s3://no-such-bucket/store/ledger"):
            await shard.flush()
        await shard.flush()

    lost = "s3://no-such-bucket/store"
    s3fs.S3FileSystem.clear_instance_cache()
    on(lost, FIRST, work)


@pytest.mark.parametrize("place", ["s3"], indirect=True)
def test_who_gives_up_waiting_leaves_the_object_to_the_others(place: str) -> None:
    async def work(ledger: BlockLedger) -> None:
        shard = ledger.shard("c")
        for key in "abc":
            shard.keep(key, {"text": key})
        waiting = [asyncio.create_task(shard.flush()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert await asyncio.gather(*waiting, return_exceptions=True) == [ANY, None]
        assert waiting[0].cancelled()

    on(place, FIRST, work)
    assert read(place, "c", "abc") == [{"text": key} for key in "abc"]
