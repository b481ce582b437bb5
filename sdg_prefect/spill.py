"""Rows that lie in a file instead of in memory, so that there may be more of them than memory holds."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sdg_prefect.errors import StoreError, as_store_error

if TYPE_CHECKING:
    import pyarrow as pa

_HELD_BYTES = 64 * 1024 * 1024
"""Rows up to this size stay in memory, and no file is made."""


class SpillFile:
    """A file without a name, which is gone when nobody has anything of it any more, however the process ends.

    It is read as mapped pages. They are no memory that a process holds: the kernel takes them back when others need it.
    """

    def __init__(self, folder: str | None = None) -> None:
        """Make the file.

        Args:
            folder: Where it lies, made if it is not there; None for the system's folder of temporary files.

        Raises:
            StoreError: It cannot be made.
        """
        self._folder = folder
        with self._failing_plainly():
            if folder is not None:
                os.makedirs(folder, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open until it is mapped

    def write_table(self, table: pa.Table) -> int:
        """Append a table as an Arrow stream, and return where it begins.

        Raises:
            StoreError: It cannot be written.
        """
        import pyarrow as pa

        with self._failing_plainly():
            start = self._file.tell()
            with pa.ipc.new_stream(self._file, table.schema) as writer:
                writer.write_table(table)
        return start

    def buffer(self) -> pa.Buffer:
        """Return what is in the file, mapped. Nothing can be written afterwards.

        Raises:
            StoreError: The rest of it cannot be written.
        """
        import pyarrow as pa

        with self._failing_plainly(), self._file as file:
            file.flush()
            # What is empty cannot be mapped.
            return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.tell() else b"")

    @contextmanager
    def _failing_plainly(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            failure = StoreError(f"cannot write to {self._folder or tempfile.gettempdir()}: {error.strerror or error}.")
            failure.__cause__ = error
            raise as_store_error(failure) from error


class Spill:
    """Takes tables one after another. Beyond a few they go into a file, from which they come back mapped."""

    def __init__(self, folder: str | None = None) -> None:
        """Begin with no tables.

        Args:
            folder: Where the file lies; see ``SpillFile``.
        """
        self._folder = folder
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file: SpillFile | None = None
        self._starts: list[int] = []

    def add(self, table: pa.Table) -> None:
        """Take a table; the types of its columns may differ from those before.

        Raises:
            StoreError: The file cannot be written.
        """
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes > _HELD_BYTES:
            self._file = self._file or SpillFile(self._folder)
            self._move_to(self._file)

    def tables(self) -> list[pa.Table]:
        """Return the tables in their order. None can be added afterwards.

        Raises:
            StoreError: The file cannot be written.
        """
        import pyarrow as pa

        if self._file is None:
            return self._held
        self._move_to(self._file)
        mapped = self._file.buffer()
        return [pa.ipc.open_stream(mapped.slice(start)).read_all() for start in self._starts]

    def _move_to(self, file: SpillFile) -> None:
        self._starts += [file.write_table(table) for table in self._held]
        self._held, self._held_bytes = [], 0


def spilled(tables: Iterable[pa.Table], folder: str | None = None) -> list[pa.Table]:
    """Return tables that come one after another, mapped from a file where they are many; see ``Spill``."""
    spill = Spill(folder)
    for table in tables:
        spill.add(table)
    return spill.tables()
