"""Where a million completions are, in thirty megabytes: hashes in sorted arrays, and beside each its segment and place."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdg_prefect.store.ledger.files import Span
from sdg_prefect.store.ledger.segments import Segment, SegmentPath, hash_of

_PLACE = np.dtype([("segment", "<u4"), ("start", "<u8"), ("length", "<u4")])
_JOIN = 4
"""A part is joined with the one before it as soon as it has a fourth of its size: few parts are searched, few bytes copied."""


@dataclass(frozen=True, slots=True)
class _Part:
    hashes: NDArray[np.bytes_]
    """In memory of their own: a search copies what is not contiguous."""
    places: NDArray[np.void]

    @classmethod
    def of(cls, hashes: Sequence[NDArray[np.bytes_]], places: Sequence[NDArray[np.void]]) -> _Part:
        joined = np.concatenate(hashes)
        order = np.argsort(joined, kind="stable")
        return cls(joined[order], np.concatenate(places)[order])


class Places:
    """Where completions are. Searched by one thread while others add to it."""

    def __init__(self) -> None:
        self._parts: tuple[_Part, ...] = ()
        self._paths: list[SegmentPath] = []
        self._numbers: dict[str, int] = {}
        self._guard = threading.Lock()

    @property
    def paths(self) -> dict[str, int]:
        """The segments in it."""
        return self._numbers

    def add(self, segments: Sequence[Segment], instead_of: str | None = None) -> None:
        """Add the completions of segments.

        Args:
            segments: One that was there under the same path is replaced.
            instead_of: A folder whose segments are forgotten.
        """
        with self._guard:
            first = len(self._paths)
            self._paths += [segment.at for segment in segments]
            hashes = [segment.entries["hash"] for segment in segments]
            places = [_places(number, segment) for number, segment in enumerate(segments, first)]
            if sum(map(len, hashes)):
                self._parts = _joined((*self._parts, _Part.of(hashes, places)))
            # In one step, and last: whoever searches meanwhile finds the old ones or the new ones.
            new = {segment.at.path: number for number, segment in enumerate(segments, first)}
            if instead_of is None:
                self._numbers.update(new)
            else:
                kept = {path: number for path, number in self._numbers.items() if not path.startswith(f"{instead_of}/")}
                self._numbers = kept | new

    def find(self, key: str) -> list[Span]:
        """Return the places of the completions under a key, the latest first."""
        if not self._parts:
            return []
        found: list[tuple[SegmentPath, int, int]] = []
        wanted = np.array([hash_of(key)], "S16")
        for part in self._parts:
            at = int(part.hashes.searchsorted(wanted)[0])
            while at < len(part.hashes) and part.hashes[at] == wanted[0]:
                number, start, length = part.places[at].tolist()
                path = self._paths[number]
                if self._numbers.get(path.path) == number:
                    found.append((path, start, length))
                at += 1
        if len(found) > 1:
            found.sort(key=lambda place: place[0].order, reverse=True)
        return [Span(path.path, start, length) for path, start, length in found]


def _places(number: int, segment: Segment) -> NDArray[np.void]:
    places = np.empty(len(segment.entries), _PLACE)
    places["segment"] = number
    places["start"] = segment.entries["start"]
    places["length"] = segment.entries["length"]
    return places


def _joined(parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    while len(parts) > 1 and len(parts[-1].hashes) * _JOIN >= len(parts[-2].hashes):
        one, other = parts[-2:]
        parts = (*parts[:-2], _Part.of([one.hashes, other.hashes], [one.places, other.places]))
    return parts
