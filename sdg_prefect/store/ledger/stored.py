"""The segments under one ask key as they are stored: found, read, and mended where they are damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sdg_prefect.errors import StoreError
from sdg_prefect.store.ledger.files import Files, Span, files_of
from sdg_prefect.store.ledger.segments import INDEX, SEGMENT, Segment, SegmentPath, decode_index, encode_index, scan
from sdg_prefect.store.root import Root

logger = logging.getLogger("sdg_prefect.run")

_AT_ONCE = 64 * 1024 * 1024
"""Bytes of segments that are held at one time while many are scanned."""
_TRIES = 5
"""How often a folder is looked at again in which files vanish: another run joins or mends them."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a listing says of a segment."""

    at: SegmentPath
    size: int
    index_size: int | None
    """None where it has no index."""


@dataclass(frozen=True)
class Segments:
    """The segments under one ask key."""

    root: Root
    folder: str
    """``ledger/<ask key>``."""
    mends: bool
    """True if damaged segments are set aside and missing indexes written; else nothing is changed."""

    @property
    def files(self) -> Files:
        """The files of the store."""
        return files_of(self.root)

    def listing(self, content: str = "") -> list[Stored]:
        """List the segments of one input shard, or all, oldest first. Pieces that were joined into a whole one are left out."""
        sizes = self.files.sizes(f"{self.folder}/{content}" if content else self.folder)
        whole = {path.removesuffix(INDEX) + SEGMENT for path in sizes if path.endswith(INDEX)} & sizes.keys()
        found = [SegmentPath(path) for path in sizes if path.endswith(SEGMENT)]
        joined = [at for at in found if at.is_piece and at.whole in whole]
        if joined and content and self.mends:
            self.files.remove([at.path for at in joined])
        kept = sorted(set(found) - set(joined), key=lambda at: at.order)
        return [Stored(at, sizes[at.path], sizes.get(at.index)) for at in kept]

    def read_whole(self, content: str) -> list[Segment]:
        """Read and check all segments of one input shard, with their data."""
        for _ in range(_TRIES):
            listed = self.listing(content)
            found = list(self.read(listed))
            if len(found) == len(listed):
                return found
        raise StoreError(f"cannot read {self.root.url(self.folder, content)}: other runs keep changing it.", "Run it again.")

    def read_indexed(self, known: Mapping[str, object] | None = None) -> list[Segment]:
        """Read where all completions are, without their data: from the indexes, and where there is none from the segments."""
        seen, found = set(known or ()), list[Segment]()
        for _ in range(_TRIES):
            new = [stored for stored in self.listing() if stored.at.path not in seen]
            seen |= {stored.at.path for stored in new}
            indexed = self._indexed(new)
            rest = [replace(stored, index_size=None) for stored in new if stored.at.path not in indexed]
            scanned = [Segment(segment.at, segment.entries) for segment in self.read(rest)]
            found += [*indexed.values(), *scanned]
            if len(scanned) == len(rest):
                break
        return found

    def _indexed(self, listed: Sequence[Stored]) -> dict[str, Segment]:
        """Read indexes, as far as they are good."""
        having = [stored for stored in listed if stored.index_size]
        contents = self.files.read([Span(stored.at.index, 0, stored.index_size or 0) for stored in having])
        found = {}
        for stored, content in zip(having, contents, strict=True):
            entries = None if content is None else decode_index(content, stored.size)
            if entries is not None:
                found[stored.at.path] = Segment(stored.at, entries)
        return found

    def read(self, listed: Sequence[Stored]) -> Iterator[Segment]:
        """Read and check segments, with their data; those that have vanished are left out."""
        for group in _groups(listed):
            contents = self.files.read([Span(stored.at.path, 0, stored.size) for stored in group])
            for stored, data in zip(group, contents, strict=True):
                if data is not None:
                    yield self._checked(stored, data)

    def _checked(self, stored: Stored, data: bytes) -> Segment:
        found = scan(data)
        segment = Segment(stored.at, found.entries, data)
        if not self.mends:
            return segment
        try:
            if found.damaged:
                return self._set_aside(segment, found.damaged)
            index = encode_index(found.entries, len(data))
            if stored.index_size != len(index) and not stored.at.is_piece and not self.files.is_being_written(stored.at.path):
                self.root.write(index, stored.at.index)
        except StoreError as error:
            logger.warning("ledger: %s", error)
        return segment

    def _set_aside(self, segment: Segment, damaged: int) -> Segment:
        """Put the good lines of a damaged segment into a new one, and move it out of the way."""
        at = segment.at
        if self.files.is_being_written(at.path):
            self._tell(at, damaged, "it stays where it is while another run writes to it")
            return segment
        salvaged = rewritten(SegmentPath(at.salvaged), [segment])
        if len(salvaged.entries):
            self.root.write(salvaged.data, salvaged.at.path)
            if not salvaged.at.is_piece:
                self.root.write(encode_index(salvaged.entries, len(salvaged.data)), salvaged.at.index)
        aside = f"damaged/{at.path}"
        self.files.move(at.path, aside)
        self.files.remove([at.index])
        self._tell(at, damaged, f"set aside in {self.root.url(aside)}")
        return salvaged

    def _tell(self, at: SegmentPath, damaged: int, what: str) -> None:
        text = "%s has %s: %s. All other completions in it are used."
        lines = "1 damaged line" if damaged == 1 else f"{damaged} damaged lines"
        logger.warning(text, self.root.url(at.path), lines, what, extra={"damaged_store": self.root.uri})


def rewritten(at: SegmentPath, segments: Sequence[Segment]) -> Segment:
    """Join the good lines of segments that are held into one; of equal keys the last counts."""
    lines = [
        segment.data[start : start + length] + b"\n"
        for segment in segments
        for start, length in sorted(zip(segment.entries["start"].tolist(), segment.entries["length"].tolist(), strict=True))
    ]
    data = b"".join(lines)
    return Segment(at, scan(data).entries, data)


def _groups(listed: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Cut a listing into parts that can be held in memory."""
    group: list[Stored] = []
    held = 0
    for stored in listed:
        if group and held + stored.size > _AT_ONCE:
            yield group
            group, held = [], 0
        group.append(stored)
        held += stored.size
    if group:
        yield group
