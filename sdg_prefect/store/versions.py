"""The versions of an output that grows from run to run: what each of them added, and which the output holds."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from sdg_prefect.errors import StoreError
from sdg_prefect.frozen import Frozen
from sdg_prefect.rows import PART_ROWS, ROW_ID
from sdg_prefect.spill import spilled
from sdg_prefect.store.arrow_folder import STATE
from sdg_prefect.store.columns import unified_schema
from sdg_prefect.store.listing import read_files
from sdg_prefect.store.output import check_output, write_output
from sdg_prefect.store.places import find_sources, open_disk
from sdg_prefect.store.readers import read_parts
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

_RECORD = re.compile(r"v\d{4,}\.json")
_NEWEST = "newest.json"
_AGAIN = "The same command goes on with what is new now, and pays nothing twice."


class Version(Frozen):
    """What one run added to an output. Its record is written last, and never changed."""

    number: int
    """From 1, in the order in which they were added."""
    run: str
    """The run that made it. ``<run>/`` has its rows with their ids, ``<run>.seeds.arrow`` the ids of its seeds."""
    made: datetime
    """When."""
    flow: str
    """The name of the flow."""
    key: str
    """Stands for all that decides the rows besides the seeds."""
    is_whole: bool
    """True if it holds the rows of all seeds; False if its rows come after those of the versions before."""
    seeds: int
    """How many seeds it was made of."""
    rows: int
    """How many rows it has."""
    content: str
    """Stands for what they say."""
    columns: str
    """Their types: an Arrow schema, in base64."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of its rows with their types."""
        import pyarrow as pa

        return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(self.columns)))


@dataclass(frozen=True, slots=True)
class Made:
    """What a run has made."""

    run_id: str
    flow: str
    key: str
    seeds: pa.ChunkedArray
    """The ids of the seeds that its rows were made of."""
    tables: Sequence[pa.Table]
    """Its rows with their ids, in order."""
    schema: pa.Schema


class Versions:
    """The versions of one output, in the folder ``<output>.versions`` beside it."""

    def __init__(self, target: str) -> None:
        """Name them; nothing is read.

        Args:
            target: The output: a file or an Arrow folder, or an address of one.
        """
        self.target = target
        self.root = Root.at(f"{target.rstrip('/')}.versions")

    def check(self) -> None:
        """Find out before a run whether a version can be added.

        Raises:
            FlowError: Something stands in the way.
        """
        check_output(f"{self.root.url('new')}/")

    def all(self) -> list[Version]:
        """Read all records, in their order."""
        names = sorted(name for name in self.root.sizes() if _RECORD.fullmatch(name))
        return sorted(map(self._parsed, names, self._read(names)), key=lambda version: version.number)

    def _parsed(self, name: str, content: bytes) -> Version:
        try:
            return Version.model_validate_json(content)
        except ValidationError as error:
            raise StoreError(f"{self.root.url(name)} is damaged, so nobody can tell which seeds are new.") from error

    def _read(self, names: Sequence[str]) -> list[bytes]:
        """Read some files, many at once, and all of them: one that is missed would let seeds count as new.

        Raises:
            StoreError: One cannot be read.
        """
        found = read_files(self.root, names)
        return [found[name] if name in found else self._read_again(name) for name in names]

    def _read_again(self, name: str) -> bytes:
        try:
            return self.root.read(name)
        except FileNotFoundError as error:
            raise StoreError(f"{self.root.url(name)} is gone, so nobody can tell which seeds are new.") from error

    def now(self) -> list[Version]:
        """Return the versions whose rows, one after another, are the output: from the last whole one on."""
        found = self.all()
        starts = [place for place, version in enumerate(found) if version.is_whole]
        return found[starts[-1] if starts else 0 :]

    def seeds_of(self, versions: Sequence[Version]) -> pa.Array:
        """Return the ids of the seeds of some versions.

        Raises:
            StoreError: They cannot be read.
        """
        import pyarrow as pa

        contents = self._read([_seeds_file(version.run) for version in versions])
        columns = [pa.ipc.open_file(pa.BufferReader(content)).read_all().column(ROW_ID) for content in contents]
        return pa.concat_arrays([chunk for column in columns for chunk in column.chunks] or [pa.array([], pa.string())])

    def unseen(self, seeds: pa.Table, folder: str | None = None) -> pa.Table:
        """Return the seeds that no version was made of; where they are many, mapped from a file.

        Args:
            seeds: All seeds, with their ids.
            folder: Where that file lies; see ``Spill``.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        known = self.seeds_of(self.now())
        if not len(known):
            return seeds
        batches = (pa.Table.from_batches([batch]) for batch in seeds.to_batches(max_chunksize=PART_ROWS))
        new = (part.filter(pc.invert(pc.is_in(part.column(ROW_ID), value_set=known))) for part in batches)
        return pa.concat_tables([seeds.slice(0, 0), *spilled(new, folder)])

    def is_made_of(self, seeds: pa.Table, key: str) -> bool:
        """True if the output has the rows of just these seeds, made as a key says."""
        versions = self.now()
        return bool(versions) and all(one.key == key for one in versions) and self._are_seeds_of(versions, seeds.column(ROW_ID))

    def _are_seeds_of(self, versions: Sequence[Version], seeds: pa.ChunkedArray) -> bool:
        import pyarrow.compute as pc

        if sum(version.seeds for version in versions) != len(seeds):
            return False
        return bool(pc.all(pc.is_in(seeds, value_set=self.seeds_of(versions)), min_count=0).as_py())

    def add(self, made: Made, *, after: Sequence[Version], is_whole: bool, keep_ids: bool) -> Version | None:
        """Add what a run has made as the next version, and let the output hold it.

        Args:
            made: The rows, and the seeds that they were made of.
            after: The versions that there were when the run looked for its seeds.
            is_whole: True if the rows are those of all seeds.
            keep_ids: True to write the row ids into the output too.

        Returns:
            The version; None if it would be the newest one over again.

        Raises:
            StoreError: It cannot be written, or another run has meanwhile added rows of the same seeds.
        """
        rows = write_output(f"{self.root.url(made.run_id)}/", iter(made.tables), made.schema, keep_ids=True)
        self.root.write(_as_file(made.seeds), _seeds_file(made.run_id))
        content = str(json.loads(self.root.read(made.run_id, STATE))["_fingerprint"])
        version = None
        while version is None:
            known = self.all()
            if is_whole and self._is_same(known, made, content):
                self.root.remove(made.run_id)
                self.root.remove(_seeds_file(made.run_id))
                return None
            version = self._put(made, known, after, rows, content, is_whole=is_whole)
        self.publish(keep_ids=keep_ids)
        return version

    def _put(
        self, made: Made, known: Sequence[Version], after: Sequence[Version], rows: int, content: str, *, is_whole: bool
    ) -> Version | None:
        """Write the record of a version; return None if another run was quicker."""
        for version in known:
            if version.run == made.run_id:
                # S3 took a request whose answer was lost, so that the client sent it again.
                return version
        self._check_apart(made, [version for version in known if version not in after], is_whole)
        version = Version(
            number=known[-1].number + 1 if known else 1,
            run=made.run_id,
            made=datetime.now(UTC),
            flow=made.flow,
            key=made.key,
            is_whole=is_whole,
            seeds=len(made.seeds),
            rows=rows,
            content=content,
            columns=base64.b64encode(made.schema.serialize().to_pybytes()).decode(),
        )
        record = version.model_dump_json(indent=1).encode()
        return version if self.root.create(record, f"v{version.number:04d}.json") else None

    def _is_same(self, known: Sequence[Version], made: Made, content: str) -> bool:
        """True if the newest version is what a run has made of all seeds."""
        last = known[-1] if known else None
        is_same = last is not None and (last.is_whole, last.key, last.content) == (True, made.key, content)
        return is_same and last is not None and self._are_seeds_of([last], made.seeds)

    def is_published(self) -> bool:
        """True if the output holds the newest version, as it does unless a run was killed at its very end."""
        target = self.target.removeprefix("file://").rstrip("/")
        return bool(open_disk(target).kind(target)) and self._published() == self._last()

    def publish(self, *, keep_ids: bool) -> None:
        """Let the output hold the newest version: the old rows are there until all new ones are."""
        published = None
        # Another run may have added a version in the meantime.
        while published != (last := self._last()):
            versions = self.now()
            schema = unified_schema(version.schema for version in versions)
            write_output(self.target, self._rows(versions), schema, keep_ids)
            self.root.write(json.dumps({"version": last}).encode(), _NEWEST)
            published = last

    def _rows(self, versions: Sequence[Version]) -> Iterator[pa.Table]:
        for version in versions:
            for found in find_sources(self.root.url(version.run)):
                yield from cast("Iterator[pa.Table]", read_parts(found))

    def _last(self) -> int:
        return max((version.number for version in self.all()), default=0)

    def _published(self) -> int:
        try:
            return int(json.loads(self.root.read(_NEWEST))["version"])
        except (FileNotFoundError, ValueError, KeyError):
            return 0

    def _check_apart(self, made: Made, others: Sequence[Version], is_whole: bool) -> None:
        """Refuse rows of seeds of which others have added rows since the run began."""
        import pyarrow.compute as pc

        if not others:
            return
        if is_whole or pc.any(pc.is_in(made.seeds, value_set=self.seeds_of(others))).as_py():
            raise StoreError(f"run {others[-1].run} has added rows of the same seeds to {self.target} meanwhile.", _AGAIN)


def _seeds_file(run_id: str) -> str:
    return f"{run_id}.seeds.arrow"


def _as_file(ids: pa.ChunkedArray) -> bytes:
    import pyarrow as pa

    table = pa.table({ROW_ID: ids})
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()
