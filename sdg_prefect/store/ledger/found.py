"""Finding completions: in the segments of one input shard, which are held, and in all others, of which the places are."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from sdg_prefect.store.ledger.files import Span
from sdg_prefect.store.ledger.places import Places
from sdg_prefect.store.ledger.segments import Segment, decode_line
from sdg_prefect.store.ledger.stored import Segments

Record = dict[str, Any]

_TRIES = 3
"""How often completions are looked for anew whose segment another run has joined or mended meanwhile."""


class Held:
    """The segments of one input shard, with their data."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self._data = {segment.at.path: segment.data for segment in segments}
        self._places = Places()
        self._places.add(segments)

    def find(self, key: str) -> Record | None:
        """Return the record of a completion, if it is there."""
        for path, start, length in self._places.find(key):
            record = decode_line(self._data[path][start : start + length], key)
            if record is not None:
                return record
        return None


class Everywhere:
    """Where the completions of all input shards are. What others write after it was loaded is not in it."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._places = Places()
        self._loading = threading.Lock()
        self.is_loaded = False

    def load(self) -> None:
        """Read all indexes, once."""
        with self._loading:
            if not self.is_loaded:
                self._places.add(self._segments.read_indexed(self._places.paths))
                self.is_loaded = True

    def has(self, key: str) -> bool:
        """True if a completion is there, unless it is damaged."""
        return bool(self._places.find(key))

    def add(self, segment: Segment) -> None:
        """Add a segment that was written since."""
        self._places.add([segment])

    def fetch(self, keys: Sequence[str]) -> dict[str, Record]:
        """Read completions, those that lie together at once."""
        found: dict[str, Record] = {}
        for _ in range(_TRIES):
            places = {key: at[0] for key in keys if key not in found and (at := self._places.find(key))}
            moved = self._read(places, found)
            if not moved:
                break
            for folder in sorted(moved):
                segments = self._segments.read_whole(folder.rsplit("/", 1)[-1])
                self._places.add([Segment(segment.at, segment.entries) for segment in segments], instead_of=folder)
        return found

    def _read(self, places: Mapping[str, Span], found: dict[str, Record]) -> set[str]:
        """Read what is where it should be, and return the folders in which something is not."""
        moved = set()
        lines = self._segments.files.read(list(places.values()))
        for (key, place), line in zip(places.items(), lines, strict=True):
            record = None if line is None else decode_line(line, key)
            if record is None:
                moved.add(place.path.rpartition("/")[0])
            else:
                found[key] = record
        return moved
