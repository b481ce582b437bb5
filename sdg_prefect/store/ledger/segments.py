"""Segments of the ledger: lines with a checksum, their index of sorted hashes, and the names that order them."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
import orjson
import xxhash
from numpy.typing import NDArray

from sdg_prefect.frozen import PLAIN

Entries = NDArray[np.void]
"""Where the completions of a segment are, sorted by hash, each hash once."""

SEGMENT = ".jsonl"
INDEX = ".index"
ENTRY = np.dtype([("hash", "S16"), ("start", "<u8"), ("length", "<u4")])
_HEADER = struct.Struct("<8sQQQ")
_MAGIC = b"sdgidx-1"

_OPEN = b'{"sum":"'
_BODY = len(_OPEN) + 16 + len(b'",')
"""Where that begins which the checksum is of."""
_KEY = _BODY + len(b'"key":')
_KEY_END = b'","'
"""Inside of a key, the second quote would be escaped."""


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


def hash_of(key: str) -> bytes:
    """Return the 16 bytes under which an index has a key."""
    return xxhash.xxh3_128_digest(key.encode("utf-8", "surrogatepass"))


def encode_line(key: str, record: Mapping[str, Any]) -> bytes:
    """Write a completion as one line of JSON that carries its own checksum; a record has no ``key`` and no ``sum`` of its own."""
    body = _encoded({"key": key, **record})[1:]
    return b'{"sum":"%s",%s\n' % (xxhash.xxh3_64_hexdigest(body).encode(), body)


def _encoded(record: Mapping[str, Any]) -> bytes:
    """Encode a record; by orjson where that changes nothing, which it does for infinities and for halves of characters."""
    if _is_plain(record):
        with suppress(TypeError):
            return orjson.dumps(record)
    return _json(record).encode("utf-8", "surrogatepass")


def _is_plain(record: Mapping[str, Any]) -> bool:
    """True if a record has nothing but texts, whole numbers and finite ones, but for its choices, which are like that."""
    for value in record.values():
        kind = type(value)
        if kind in PLAIN or (kind is float and isfinite(value)):
            continue
        if kind is not list or not all(type(choice) is dict and _is_plain(choice) for choice in value):
            return False
    return True


def decode_line(line: bytes, key: str | None = None) -> dict[str, Any] | None:
    """Read a record; None where the line is damaged or another key's."""
    line = line.removesuffix(b"\n")
    if not _is_whole(line):
        return None
    record: dict[str, Any] = json.loads(line)
    del record["sum"]
    return record if record.pop("key") == key or key is None else None


def _is_whole(line: bytes) -> bool:
    return line[:_BODY] == b'{"sum":"%s",' % xxhash.xxh3_64_hexdigest(line[_BODY:]).encode()


@dataclass(frozen=True, slots=True)
class Scan:
    """What the data of a segment holds."""

    entries: Entries
    damaged: int
    """Lines that are not what was written. A last line that was cut short is not among them: a crash leaves that."""


def scan(data: bytes) -> Scan:
    """Find the whole lines of a segment."""
    found: list[tuple[bytes, int, int]] = []
    start = damaged = 0
    while (end := data.find(b"\n", start)) >= 0:
        line = data[start:end]
        if _is_whole(line):
            found.append((_hash_in(line), start, len(line)))
        elif line:
            damaged += 1
            found += _whole_parts(line, start)
        start = end + 1
    found += _whole_parts(data[start:], start)
    return Scan(_sorted_last(np.array(found, dtype=ENTRY)), damaged)


def entries_of(lines: Iterable[bytes]) -> Entries:
    """Return where the completions are in the data that these whole lines make."""
    found: list[tuple[bytes, int, int]] = []
    start = 0
    for line in lines:
        found.append((_hash_in(line[:-1]), start, len(line) - 1))
        start += len(line)
    return _sorted_last(np.array(found, dtype=ENTRY))


def _hash_in(line: bytes) -> bytes:
    end = line.find(_KEY_END, _KEY)
    key = line[_KEY : end + 1] if end >= 0 else line[_KEY:-1]
    return hash_of(json.loads(key)) if b"\\" in key else xxhash.xxh3_128_digest(key[1:-1])


def _whole_parts(text: bytes, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Find whole lines where the break between two of them is damaged, or the last one lacks only that."""
    starts = [match.start() for match in re.finditer(re.escape(_OPEN), text)]
    for start, end in pairwise([*starts, len(text)]):
        for line in (text[start:end], text[start : end - 1]):
            if _is_whole(line):
                yield _hash_in(line), offset + start, len(line)
                break


def _sorted_last(entries: Entries) -> Entries:
    """Sort by hash; of equal ones the last written stays."""
    if not len(entries):
        return entries
    entries = entries[np.argsort(entries["hash"], kind="stable")]
    hashes = entries["hash"]
    last: Entries = entries[np.append(hashes[1:] != hashes[:-1], True)]
    return last


def encode_index(entries: Entries, data_length: int) -> bytes:
    """Write the index of a segment whose data has this many bytes."""
    content = np.ascontiguousarray(entries).tobytes()
    return _HEADER.pack(_MAGIC, data_length, len(entries), xxhash.xxh3_64_intdigest(content, data_length)) + content


def decode_index(content: bytes, data_length: int) -> Entries | None:
    """Read an index; None where it is damaged, or of other data than what is there now."""
    if len(content) < _HEADER.size:
        return None
    magic, length, count, checksum = _HEADER.unpack_from(content)
    rest = content[_HEADER.size :]
    if (magic, length, count * ENTRY.itemsize) != (_MAGIC, data_length, len(rest)):
        return None
    return np.frombuffer(rest, ENTRY) if xxhash.xxh3_64_intdigest(rest, length) == checksum else None


_NAME = re.compile(r"(?P<writer>.+?)(?:-(?P<piece>\d{6}))?(?P<salvaged>(?:-salvaged)*)\.(?:jsonl|index)")
_WHOLE = 1_000_000
"""Sorts the whole segment of a writer after its pieces."""


@dataclass(frozen=True)
class SegmentPath:
    """Where a segment is, below the store's root: ``ledger/<ask key>/<input content>/<run id>-<nonce>.jsonl``."""

    path: str

    @cached_property
    def _words(self) -> re.Match[str] | None:
        return _NAME.fullmatch(self.path.rsplit("/", 1)[-1])

    @property
    def folder(self) -> str:
        """The folder of its input shard."""
        return self.path.rpartition("/")[0]

    @property
    def index(self) -> str:
        """Where its index is."""
        return self.path.removesuffix(SEGMENT) + INDEX

    @property
    def salvaged(self) -> str:
        """Where its good lines go if it is damaged: it keeps its place in the order."""
        return f"{self.path.removesuffix(SEGMENT)}-salvaged{SEGMENT}"

    @property
    def is_piece(self) -> bool:
        """True for an object with a few lines, which its writer joins with others when the shard is done."""
        return self._words is not None and self._words["piece"] is not None

    @property
    def whole(self) -> str:
        """The segment that a piece becomes a part of."""
        assert self._words is not None
        return f"{self.folder}/{self._words['writer']}{SEGMENT}"

    @cached_property
    def order(self) -> tuple[str, int, str, str]:
        """Sorts segments by time: of two completions under one key that of the later segment counts."""
        if self._words is None:
            return (self.path, 0, "", "")
        return (self._words["writer"], int(self._words["piece"] or _WHOLE), self._words["salvaged"], self.path)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that was read: where its completions are, and its data where that is held."""

    at: SegmentPath
    entries: Entries
    data: bytes = b""

    def records(self, step: int = 1) -> Iterator[dict[str, Any]]:
        """Yield the records of a segment that is held, or every so manyth."""
        for start, length in zip(self.entries["start"][::step].tolist(), self.entries["length"][::step].tolist(), strict=True):
            if (record := decode_line(self.data[start : start + length])) is not None:
                yield record
