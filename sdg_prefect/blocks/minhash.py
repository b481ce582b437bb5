"""Which texts are nearly equal: MinHash signatures (Broder, 1997) find candidates by bands, and their pieces are compared.

Of each row two numbers are in memory. Signatures and bands lie in mapped files without a name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from sdg_prefect.blocks.ngrams import normal_words

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Hashes = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int64]

_SEED = 1
_RECALL = 0.998
"""Of pairs that are as similar as asked for, so many at least become candidates."""
_SLACK = 0.12
"""How much less than asked for a similarity may be estimated for the pieces to be compared all the same: three deviations."""
_COMPARED = 4096
"""Pairs whose pieces are compared at one time."""

Texts = Callable[["Places"], Sequence[str]]
"""Returns the texts at some places."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """How a text is taken apart: into runs of letters or of words, without regard to case, punctuation and space."""

    unit: Literal["characters", "words"]
    size: int

    def hashes(self, texts: Sequence[str]) -> tuple[Hashes, Hashes]:
        """Return the hashes of the pieces of texts, one after another, and where those of each text begin; and the end.

        A text that is shorter than a piece is one piece, an empty one has none.
        """
        import numpy as np

        tokens, lengths = self._letters(texts) if self.unit == "characters" else self._words(texts)
        counts = np.where(lengths > 0, lengths - self.size + 1, 0)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
        if not len(tokens):
            return np.zeros(0, np.uint64), offsets
        runs = np.zeros(len(tokens) - self.size + 1, np.uint64)
        for place in range(self.size):
            runs = runs * np.uint64(0x9E3779B97F4A7C15) + tokens[place : place + len(runs)]
        # A run may not reach from one text into the next.
        is_whole = np.ones(len(runs), bool)
        ends = np.cumsum(lengths[lengths > 0])[:-1]
        for back in range(1, self.size):
            is_whole[ends - back] = False
        return _mixed(runs[is_whole]), offsets

    def _letters(self, texts: Sequence[str]) -> tuple[Hashes, Places]:
        import numpy as np

        normal = [" ".join(normal_words(text)) for text in texts]
        padded = [text.ljust(self.size, "\0") if text else "" for text in normal]
        letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), "<u4")
        return letters.astype(np.uint64), np.array([len(text) for text in padded], np.int64)

    def _words(self, texts: Sequence[str]) -> tuple[Hashes, Places]:
        import numpy as np
        from xxhash import xxh3_64_intdigest

        words = [normal_words(text) for text in texts]
        padded = [some + [""] * (self.size - len(some)) if some else some for some in words]
        hashes = [xxh3_64_intdigest(word.encode("utf-8", "surrogatepass")) for some in padded for word in some]
        return np.array(hashes, np.uint64), np.array([len(some) for some in padded], np.int64)


def _mixed(numbers: Hashes) -> Hashes:
    """Spread numbers over all 64 bits (the finalizer of SplitMix64; Steele, Lea and Flood, 2014)."""
    import numpy as np

    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        numbers = (numbers ^ (numbers >> np.uint64(shift))) * np.uint64(factor)
    return numbers ^ (numbers >> np.uint64(31))


def bands_for(similarity: float, permutations: int) -> tuple[int, int]:
    """Return how many bands of how many numbers make candidates of nearly all pairs that are as similar as asked for.

    The longer a band, the fewer pairs that are less similar become candidates.
    """
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if 1 - (1 - similarity**rows) ** bands >= _RECALL:
            return bands, rows
    return permutations, 1


class NearRepeats:
    """Takes texts part by part, and says which repeat an earlier one."""

    def __init__(self, count: int, pieces: Pieces, similarity: float, permutations: int) -> None:
        """Make room.

        Args:
            count: How many texts will come.
            pieces: What they are compared by.
            similarity: The share of pieces that two texts have to have in common, of all that one of them has (Jaccard).
            permutations: Numbers of a signature.
        """
        import numpy as np

        self._pieces = pieces
        self._similarity = similarity
        self._bands, self._rows = bands_for(similarity, permutations)
        self._permutations = permutations
        self._signatures = _mapped(np.uint32, (count, permutations))
        self._keys = _mapped(np.uint64, (self._bands, count))
        self._count = 0

    def add(self, texts: Sequence[str]) -> None:
        """Take the next texts."""
        import numpy as np
        from rensa import RMinHash

        hashes, offsets = self._pieces.hashes(texts)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, self._permutations, _SEED)
        signatures = np.array(matrix.to_rows(), np.uint32).reshape(len(texts), self._permutations)
        end = self._count + len(texts)
        self._signatures[self._count : end] = signatures
        for band in range(self._bands):
            key = np.zeros(len(texts), np.uint64)
            for column in range(band * self._rows, (band + 1) * self._rows):
                key = _mixed(key + signatures[:, column] + np.uint64(0x9E3779B97F4A7C15))
            self._keys[band, self._count : end] = key
        self._count = end

    def firsts(self, texts: Texts) -> Places:
        """Return for each text the place of the first of its group: of those that a chain of near repeats links.

        Args:
            texts: Returns the texts at some places.
        """
        import numpy as np

        groups = Groups(self._count)
        for band in range(self._bands):
            for ones, others in self._candidates(self._keys[band]):
                first = groups.firsts()
                is_new = first[ones] != first[others]
                for start in range(0, int(is_new.sum()), _COMPARED):
                    one, other = (pair[is_new][start : start + _COMPARED] for pair in (ones, others))
                    groups.join(*self._near(one, other, texts))
        found: Places = np.array(groups.firsts())
        return found

    def _candidates(self, keys: Hashes) -> Iterator[tuple[Places, Places]]:
        """Give the pairs of texts with an equal band: each with the first of them, and with the one before."""
        import numpy as np

        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        is_again = np.concatenate([[False], ordered[1:] == ordered[:-1]])
        places = is_again.nonzero()[0]
        starts = np.maximum.accumulate(np.where(is_again, 0, np.arange(len(order))))
        yield order[starts[places]], order[places]
        further = places[places - 1 != starts[places]]
        yield order[further - 1], order[further]

    def _near(self, ones: Places, others: Places, texts: Texts) -> tuple[Places, Places]:
        """Return those pairs whose texts have enough pieces in common."""
        estimated = (self._signatures[ones] == self._signatures[others]).mean(axis=1)
        likely = estimated >= self._similarity - _SLACK
        ones, others = ones[likely], others[likely]
        if not len(ones):
            return ones, others
        left, right = self._sets(texts(ones)), self._sets(texts(others))
        is_near = [_jaccard(one, other) >= self._similarity for one, other in zip(left, right, strict=True)]
        return ones[is_near], others[is_near]

    def _sets(self, texts: Sequence[str]) -> list[frozenset[int]]:
        hashes, offsets = self._pieces.hashes(texts)
        numbers, ends = hashes.tolist(), offsets.tolist()
        return [frozenset(numbers[start:end]) for start, end in pairwise(ends)]


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common) if one or other else 1.0


def _mapped(kind: Any, shape: tuple[int, ...]) -> Any:
    """Return an array in a file without a name, which the kernel takes back from memory when it is wanted elsewhere."""
    import numpy as np

    with tempfile.TemporaryFile() as file:
        return np.memmap(file, kind, "w+", shape=tuple(max(1, length) for length in shape))


class Groups:
    """Places that belong together, each group named by its first."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self._first = np.arange(count)

    def firsts(self) -> Places:
        """Return the first place of the group of each place."""
        import numpy as np

        while not np.array_equal(flat := self._first[self._first], self._first):
            self._first = flat
        return self._first

    def join(self, ones: Places, others: Places) -> None:
        """Say that places belong together, pair by pair."""
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            low, high = sorted((self._find(one), self._find(other)))
            self._first[high] = low

    def _find(self, place: int) -> int:
        while (first := int(self._first[place])) != place:
            place = first
        return place
