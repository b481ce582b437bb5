"""Rows that lie in a file instead of in memory, so that there may be more of them than memory holds."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from sdg_prefect.errors import StoreError, as_store_error

if TYPE_CHECKING:
    import pyarrow as pa

_HELD_BYTES = 64 * 1024 * 1024
"""Rows up to this size stay in memory, and no file is made."""


class Spill:
    """Takes tables one after another and gives them back mapped from a file.

    The file has no name: it is gone when nobody has a table of it any more, however the process ends. Mapped pages are no memory
    that a process holds; the kernel takes them back when others need it.
    """

    def __init__(self, folder: str | None = None) -> None:
        """Begin with no tables.

        Args:
            folder: Where the file lies, which is made if it is not there; None for the system's folder of temporary files.
        """
        self._folder = folder
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._starts: list[int] = []

    def add(self, table: pa.Table) -> None:
        """Take a table; the types of its columns may differ from those before.

        Raises:
            StoreError: The file cannot be written.
        """
        self._held.append(table)
        self._held_bytes += table.nbytes
        if self._held_bytes > _HELD_BYTES:
            self._write()

    def tables(self) -> list[pa.Table]:
        """Return the tables in their order. The spill is at its end with that.

        Raises:
            StoreError: The file cannot be written.
        """
        import pyarrow as pa

        if self._file is None:
            return self._held
        self._write()
        with self._file as file:
            mapped = pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return [pa.ipc.open_stream(mapped.slice(start)).read_all() for start in self._starts]

    def _write(self) -> None:
        import pyarrow as pa

        try:
            if self._file is None:
                if self._folder is not None:
                    os.makedirs(self._folder, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - open until it is mapped
            for table in self._held:
                self._starts.append(self._file.tell())
                with pa.ipc.new_stream(self._file, table.schema) as writer:
                    writer.write_table(table)
            self._file.flush()
        except OSError as error:
            failure = StoreError(f"cannot write to {self._folder or tempfile.gettempdir()}: {error.strerror or error}.")
            failure.__cause__ = error
            raise as_store_error(failure) from error
        self._held, self._held_bytes = [], 0


def spilled(tables: Iterable[pa.Table], folder: str | None = None) -> list[pa.Table]:
    """Return tables that come one after another, mapped from a file where they are many; see ``Spill``."""
    spill = Spill(folder)
    for table in tables:
        spill.add(table)
    return spill.tables()
