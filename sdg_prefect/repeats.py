"""Which of many values repeat earlier ones, told by digests of them: some tens of bytes for each, however long they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sdg_prefect.frozen import canonical

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def digests_of(values: Iterable[Any], size: int) -> bytes:
    """Hash JSON-like values to so many bytes each, and return them one after another."""
    return b"".join([hashlib.blake2b(canonical(value), digest_size=size).digest() for value in values])


def equal_before(digests: bytes | bytearray, size: int) -> npt.NDArray[np.int64]:
    """Return for each digest how many equal ones stand before it.

    Args:
        digests: One after another.
        size: The bytes of each: 9, 10, 12 or 16.
    """
    import numpy as np

    if not digests:
        return np.zeros(0, np.int64)
    keys = np.frombuffer(digests, np.dtype([("head", "u8"), ("tail", f"u{size - 8}")]))
    # The sort is stable, so that equal digests stay in their order.
    order = np.lexsort((keys["tail"], keys["head"]))
    ordered = keys[order]
    places = np.arange(len(keys))
    firsts = places.copy()
    firsts[1:][ordered[1:] == ordered[:-1]] = 0
    places -= np.maximum.accumulate(firsts, out=firsts)
    found = np.empty_like(places)
    found[order] = places
    return found
