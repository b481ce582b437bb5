"""Whatever is kept is found, however shards, runs and ends of runs follow each other."""

import asyncio
import tempfile
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sdg_prefect.store.ledger.completions import BlockLedger, ShardLedger, open_ledger
from sdg_prefect.store.ledger.segments import decode_index as decoded
from sdg_prefect.store.ledger.segments import decode_line, encode_index, encode_line, hash_of, scan
from sdg_prefect.store.root import Root

KEYS = st.text(st.characters(), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.dictionaries(st.text(max_size=6).filter(lambda name: name not in ("sum", "key")), VALUES, max_size=4)


@given(st.lists(st.tuples(KEYS, RECORDS), max_size=8), st.binary(max_size=40).filter(lambda text: b"\n" not in text))
def test_a_segment_gives_back_what_was_written(pairs: list[tuple[str, dict[str, Any]]], cut: bytes) -> None:
    data = b"".join(encode_line(key, record) for key, record in pairs) + cut
    found = scan(data)
    assert found.damaged == 0
    entries = decoded(encode_index(found.entries, len(data)), len(data))
    assert entries is not None
    assert entries.tobytes() == found.entries.tobytes()
    places = {bytes(place).ljust(16, b"\0"): (start, length) for place, start, length in entries.tolist()}
    expected = dict(pairs)
    assert len(places) == len(expected)
    for key, record in expected.items():
        start, length = places[hash_of(key)]
        assert decode_line(data[start : start + length], key) == record


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(["keep", "keep", "keep", "find", "seal"])))
RUNS = st.lists(st.tuples(STEPS, st.sampled_from(["sealed", "closed", "killed"])), max_size=4)


class Law:
    """What a ledger should find, beside the ledger."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[int, tuple[int, int]]] = {content: {} for content in "abc"}
        """By content and key: the number of the segment, and the value; that of the latest segment counts."""
        self.segments = 0
        self.values = 0

    def expected(self, content: str, key: int) -> int | None:
        """Return the value that any later run finds."""
        if key in self.kept[content]:
            return self.kept[content][key][1]
        others = [values[key] for values in self.kept.values() if key in values]
        return max(others)[1] if others else None


async def one_run(place: str, number: int, steps: list[tuple[str, int, str]], end: str, law: Law) -> None:
    ledger = BlockLedger(Root.at(place), "ask", f"20260101-{number:06d}-aaaaaa")
    shards = {content: ledger.shard(content) for content in "abc"}
    written: dict[str, int] = {}
    mine: dict[tuple[str, int], int] = {}
    before = {key for values in law.kept.values() for key in values}
    for content, key, what in steps:
        shard = shards[content]
        if what == "seal":
            await shard.flush()
            await asyncio.to_thread(shard.seal)
            written.pop(content, None)
        elif what == "find":
            found = await shard.find(str(key))
            if (content, key) in mine:
                assert found == {"value": mine[content, key]}
            else:
                assert found is not None or key not in before
                assert found is None or 0 < found["value"] <= law.values
        else:
            if content not in written:
                law.segments += 1
                written[content] = law.segments
            law.values += 1
            shard.keep(str(key), {"value": law.values})
            mine[content, key] = law.values
            law.kept[content][key] = (written[content], law.values)
    await ended(ledger, shards, end)


async def ended(ledger: BlockLedger, shards: dict[str, ShardLedger], end: str) -> None:
    for shard in shards.values():
        # A kill loses nothing but what waits for its object.
        await shard.flush()
        if end == "sealed":
            await asyncio.to_thread(shard.seal)
    if end != "killed":
        await ledger.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(RUNS)
def test_whatever_is_kept_is_found(runs: list[tuple[list[tuple[str, int, str]], str]]) -> None:
    async def body(place: str) -> None:
        law = Law()
        for number, (steps, end) in enumerate(runs):
            await one_run(place, number, steps, end, law)
            reader, looker = BlockLedger(Root.at(place), "ask", f"2027-{number:06d}"), open_ledger(Root.at(place), "ask")
            for content in "abc":
                looked = looker.find(content, [str(key) for key in range(4)])
                for key in range(4):
                    value = law.expected(content, key)
                    record = None if value is None else {"value": value}
                    assert await reader.shard(content).find(str(key)) == looked.get(str(key)) == record

    with tempfile.TemporaryDirectory() as place:
        asyncio.run(body(place))
