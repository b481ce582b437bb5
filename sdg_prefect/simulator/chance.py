"""Numbers that look random and depend on nothing but their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")


def fingerprint(*parts: str) -> str:
    """Return a short name for these texts; equal texts have equal names."""
    digest = blake2b(digest_size=12)
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\x1f")
    return digest.hexdigest()


def draw(*parts: object) -> float:
    """Return a number from 0 up to (not including) 1, fixed by the arguments."""
    text = "\x1f".join(map(str, parts))
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=7).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def pick(choices: Sequence[T], *parts: object) -> T:
    """Return one of the choices, fixed by the arguments."""
    return choices[int(draw(*parts) * len(choices))]
