"""Damage to files, and files that do harm when they are unpickled."""

from __future__ import annotations

import os
from pathlib import Path


def flipped(content: bytes, at: int | None = None) -> bytes:
    """Return content with one bit changed: of the byte at a place, or of the one in the middle."""
    changed = bytearray(content)
    changed[len(content) // 2 if at is None else at] ^= 0x10
    return bytes(changed)


def flip(path: Path, at: int | None = None) -> None:
    """Change one bit of a file: of the byte at a place, or of the one in the middle."""
    path.write_bytes(flipped(path.read_bytes(), at))


def truncate(path: Path) -> None:
    """Take off the second half of a file."""
    os.truncate(path, path.stat().st_size // 2)


class Poison:
    """Leaves a trace when it is unpickled: the folder that the variable ``TRACE`` names."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (os.environ["TRACE"],)
