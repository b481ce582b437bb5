"""Reading gzip files, which may stand for far more than their size."""

from __future__ import annotations

import errno
import gzip
import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_FREE = 64 * 1024 * 1024
_TIMES = 500
"""Texts become a tenth to a hundredth of their size; zeros a thousandth."""
_BUFFER_BYTES = 1 << 20


def unpacked(packed: IO[bytes]) -> io.BufferedReader:
    """Return what a gzip file holds. Reading fails where that grows to more than 64 MB and 500 times what it comes from."""
    return io.BufferedReader(_Unpacked(packed), _BUFFER_BYTES)


class _Unpacked(io.RawIOBase):
    def __init__(self, packed: IO[bytes]) -> None:
        self._packed, self._file, self._given = packed, gzip.GzipFile(fileobj=packed), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = self._file.readinto(buffer)
        self._given += count
        if self._given > max(_FREE, _TIMES * self._packed.tell()):
            raise OSError(errno.EFBIG, f"it unpacks to more than {_TIMES} times its size, as no file of rows does")
        return count
