"""Measures of a text that tell prose from what is broken, listed or repeated.

Those of Gopher are from Rae et al., "Scaling Language Models" (2021), appendix A.1, those of C4 from Raffel et al., "Exploring
the Limits of Transfer Learning" (2020), section 2.2.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

_SYMBOLS = re.compile(r"#|\.\.\.|…")
_BULLETS = ("-", "*", "•", "●", "‣", "◦", "–")
_ENDS = ('.', '!', '?', '"', "”", "。", "！", "？", "…")  # fmt: skip
_SENTENCE = re.compile(r"[.!?。！？]+(?=\s|$|[\"'”)\]])|[。！？]")
STOP_WORDS = frozenset("the be to of and that have with".split())
"""The words of which Gopher wants two in a document."""


@dataclass(frozen=True)
class Measures:
    """The measures of one text, each taken when it is asked for."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        """What stands between spaces."""
        return self.text.split()

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not empty, stripped."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    def _share_of_words(self, count: int) -> float:
        return count / len(self.words) if self.words else 0.0

    def _share_of_lines(self, count: int) -> float:
        return count / len(self.lines) if self.lines else 0.0

    @property
    def word_length(self) -> float:
        """Letters of a word on average."""
        return self._share_of_words(sum(map(len, self.words)))

    @property
    def symbol_share(self) -> float:
        """Hash signs and ellipses for each word."""
        return self._share_of_words(len(_SYMBOLS.findall(self.text)))

    @property
    def alphabetic_share(self) -> float:
        """The share of words with a letter."""
        return self._share_of_words(sum(any(map(str.isalpha, word)) for word in self.words))

    @property
    def bullet_share(self) -> float:
        """The share of lines that begin with a bullet."""
        return self._share_of_lines(sum(line.startswith(_BULLETS) for line in self.lines))

    @property
    def ellipsis_share(self) -> float:
        """The share of lines that end in an ellipsis."""
        return self._share_of_lines(sum(line.endswith(("...", "…")) for line in self.lines))

    @property
    def unended_share(self) -> float:
        """The share of lines that end without a mark of punctuation."""
        return self._share_of_lines(sum(not line.endswith(_ENDS) for line in self.lines))

    def stop_words(self, among: frozenset[str]) -> int:
        """Count how many different stop words there are."""
        return len(among & {word.strip(".,;:!?\"'()").casefold() for word in self.words})

    @property
    def sentences(self) -> int:
        """Count the ends of sentences."""
        return len(_SENTENCE.findall(self.text))

    @property
    def repeated_line_share(self) -> float:
        """The share of lines that stood before."""
        return self._share_of_lines(len(self.lines) - len(set(self.lines)))

    @property
    def repeated_paragraph_share(self) -> float:
        """The share of paragraphs that stood before."""
        paragraphs = [part.strip() for part in re.split(r"\n\s*\n", self.text) if part.strip()]
        return (len(paragraphs) - len(set(paragraphs))) / len(paragraphs) if paragraphs else 0.0

    def top_ngram_share(self, size: int) -> float:
        """The share of letters in the most frequent run of so many words, if it comes more than once."""
        grams = Counter(zip(*(self.words[start:] for start in range(size)), strict=False))
        if not grams:
            return 0.0
        gram, count = max(grams.items(), key=lambda item: (item[1], sum(map(len, item[0]))))
        return count * sum(map(len, gram)) / self._letters if count > 1 else 0.0

    def repeated_ngram_share(self, size: int) -> float:
        """The share of letters in runs of so many words that stood before; each letter counts once."""
        seen: set[tuple[str, ...]] = set()
        repeated = [False] * len(self.words)
        for place, gram in enumerate(zip(*(self.words[start:] for start in range(size)), strict=False)):
            if gram in seen:
                repeated[place : place + size] = [True] * size
            seen.add(gram)
        letters = sum(len(word) for word, again in zip(self.words, repeated, strict=True) if again)
        return letters / self._letters

    @cached_property
    def _letters(self) -> int:
        return max(1, sum(map(len, self.words)))
