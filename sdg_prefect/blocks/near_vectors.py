"""Which vectors lie near to one that was kept before: compared with all of them, or looked up in an index."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]
    Mask = npt.NDArray[np.bool_]

_AT_ONCE = 16_384
"""Kept vectors that others are compared with at one time."""


class Kept(Protocol):
    """Vectors of length 1 that were kept."""

    def near(self, vectors: Vectors, similarity: float) -> Mask:
        """Say for each vector whether one that was kept has at least this cosine with it."""
        ...

    def add(self, vectors: Vectors) -> None:
        """Keep vectors."""
        ...


class Compared:
    """Compares with every vector; they lie in a mapped file, not in memory."""

    def __init__(self, most: int, dimensions: int) -> None:
        """Make room.

        Args:
            most: How many vectors may be kept.
            dimensions: Numbers of each.
        """
        import numpy as np

        with tempfile.TemporaryFile() as file:
            self._vectors = np.memmap(file, np.float32, "w+", shape=(max(most, 1), dimensions))
        self._count = 0

    def near(self, vectors: Vectors, similarity: float) -> Mask:
        """Say which are near to a kept one."""
        import numpy as np

        found = np.zeros(len(vectors), bool)
        for start in range(0, self._count, _AT_ONCE):
            kept = self._vectors[start : min(start + _AT_ONCE, self._count)]
            found |= (vectors @ kept.T >= similarity).any(axis=1)
        return found

    def add(self, vectors: Vectors) -> None:
        """Keep vectors."""
        self._vectors[self._count : self._count + len(vectors)] = vectors
        self._count += len(vectors)


class Indexed:
    """Looks the nearest vector up in an index of usearch, a graph (HNSW; Malkov and Yashunin, 2016): some kilobytes a vector."""

    def __init__(self, dimensions: int) -> None:
        from usearch.index import Index

        self._index = Index(ndim=dimensions, metric="cos", dtype="f32")

    def near(self, vectors: Vectors, similarity: float) -> Mask:
        """Say which are near to a kept one."""
        import numpy as np

        if not len(self._index):
            return np.zeros(len(vectors), bool)
        distances = np.asarray(self._index.search(vectors, 1, threads=1).distances).reshape(len(vectors), -1)[:, 0]
        is_near: Mask = distances <= 1 - similarity
        return is_near

    def add(self, vectors: Vectors) -> None:
        """Keep vectors."""
        import numpy as np

        # One thread: the graph, and so the rows that are kept, would depend on who comes first.
        self._index.add(np.arange(len(self._index), len(self._index) + len(vectors)), vectors, threads=1)


def first_of_each(blocks: Iterable[Vectors], kept: Kept, similarity: float) -> list[Mask]:
    """Keep each vector that is near to none that was kept before it.

    Args:
        blocks: The vectors, of length 1, in order.
        kept: Keeps them.
        similarity: The cosine from which on two are near.

    Returns:
        For each block, which of its vectors were kept.
    """
    masks = []
    for vectors in blocks:
        is_near = kept.near(vectors, similarity)
        among = vectors @ vectors.T >= similarity
        for place in range(len(vectors)):
            if not is_near[place]:
                is_near[place + 1 :] |= among[place, place + 1 :]
        kept.add(vectors[~is_near])
        masks.append(~is_near)
    return masks
