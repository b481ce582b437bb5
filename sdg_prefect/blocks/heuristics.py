"""Leave out texts that rules of thumb tell from good prose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.text_measures import STOP_WORDS, Measures
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Ngram = Annotated[int, Field(ge=1, le=50)]
RuleSet = Literal["gopher", "gopher_repetition", "c4"]

_RULES: Mapping[RuleSet, Mapping[str, Any]] = {
    "gopher": {
        "min_words": 50,
        "max_words": 100_000,
        "min_word_length": 3,
        "max_word_length": 10,
        "max_symbols": 0.1,
        "max_bullet_lines": 0.9,
        "max_ellipsis_lines": 0.3,
        "min_alphabetic_words": 0.8,
        "min_stop_words": 2,
    },
    "gopher_repetition": {
        "max_repeated_lines": 0.3,
        "max_repeated_paragraphs": 0.3,
        "max_top_ngrams": {2: 0.2, 3: 0.18, 4: 0.16},
        "max_repeated_ngrams": {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1},
    },
    "c4": {"min_sentences": 5, "max_unended_lines": 0.0, "phrases": ("lorem ipsum", "{", "javascript")},
}


@block("FilterByHeuristics")
class FilterByHeuristics(Block):
    """Leave out rows whose text breaks a rule: too short or long, too many symbols, lists or repeats, too few words of prose.

    ``rules`` switches whole sets of rules on. ``gopher`` and ``gopher_repetition`` are those of Rae et al. (2021), appendix A.1;
    ``c4`` is after Raffel et al. (2020), section 2.2, which cleans pages line by line and is stricter here. They were made for
    web pages of English: for short answers give single rules. A rule that is given itself takes the place of the set's.
    """

    family: ClassVar[str] = "Keep or leave out rows"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"column": "answer", "min_words": 3, "max_repeated_ngrams": {2: 0.4}, "mark": "fault"},
        rows=[{"answer": "Bees dance for food."}, {"answer": "Bees."}, {"answer": "so so so so so so so"}],
        output=[
            {"answer": "Bees dance for food.", "fault": None},
            {"answer": "Bees.", "fault": "min_words"},
            {"answer": "so so so so so so so", "fault": "max_repeated_ngrams"},
        ],
    )

    column: str = Field(min_length=1)
    """Column of texts. A null counts as empty."""
    rules: tuple[RuleSet, ...] = ()
    """Sets of rules: ``gopher``, ``gopher_repetition``, ``c4``."""
    min_words: Count | None = None
    """Least words."""
    max_words: Count | None = None
    """Most words."""
    min_word_length: float | None = None
    """Least letters of a word on average."""
    max_word_length: float | None = None
    """Most letters of a word on average."""
    max_symbols: float | None = None
    """Most hash signs and ellipses for each word."""
    max_bullet_lines: Share | None = None
    """Greatest share of lines that begin with a bullet."""
    max_ellipsis_lines: Share | None = None
    """Greatest share of lines that end in an ellipsis."""
    max_unended_lines: Share | None = None
    """Greatest share of lines that end without a mark of punctuation."""
    min_alphabetic_words: Share | None = None
    """Least share of words with a letter."""
    min_stop_words: Count | None = None
    """Least number of different stop words."""
    stop_words: tuple[str, ...] = tuple(sorted(STOP_WORDS))
    """The stop words, in lower case."""
    min_sentences: Count | None = None
    """Least number of sentences."""
    phrases: tuple[str, ...] | None = None
    """Texts that may not be there, in any case of letters."""
    max_repeated_lines: Share | None = None
    """Greatest share of lines that stood before."""
    max_repeated_paragraphs: Share | None = None
    """Greatest share of paragraphs that stood before."""
    max_top_ngrams: Mapping[Ngram, Share] | None = None
    """Number of words to the greatest share of letters in the most frequent run of so many."""
    max_repeated_ngrams: Mapping[Ngram, Share] | None = None
    """Number of words to the greatest share of letters in runs of so many that stood before."""
    mark: str | None = None
    """A column that gets the name of the rule that a row breaks, or null: no row is left out."""

    def reads(self) -> Iterable[str]:
        return (self.column,)

    def writes(self) -> Iterable[str]:
        return () if self.mark is None else (self.mark,)

    def doubts(self, before: Columns) -> Iterable[str]:
        if not self._limits:
            yield "no rule is given, so every row is kept."

    @cached_property
    def _limits(self) -> dict[str, Any]:
        """The limits that hold, by the names of their rules."""
        names = {name for rules in _RULES.values() for name in rules}
        limits = {name: limit for rules in self.rules for name, limit in _RULES[rules].items()}
        own = {name: getattr(self, name) for name in type(self).model_fields if name in names}
        return limits | {name: limit for name, limit in own.items() if limit is not None}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Measure each text."""
        import pyarrow as pa

        table = to_table(rows)
        texts = table.column(self.column).to_pylist()
        faults = [next(self._faults(Measures("" if text is None else str(text))), None) for text in texts]
        if self.mark is not None:
            return to_dataset(set_column(table, self.mark, pa.array(faults, pa.string())))
        if counts := Counter(fault for fault in faults if fault is not None):
            context.log("left out: " + ", ".join(f"{count} by {name}" for name, count in counts.most_common()))
        return to_dataset(table.filter(pa.array([fault is None for fault in faults], pa.bool_())))

    def _faults(self, text: Measures) -> Iterator[str]:
        """Name the rules that a text breaks, those that are quick to tell first."""
        for name, limit in sorted(self._limits.items(), key=lambda rule: list(_MEASURES).index(rule[0])):
            measured = _MEASURES[name]
            if name == "min_stop_words":
                is_broken = text.stop_words(frozenset(self.stop_words)) < limit
            elif name == "phrases":
                is_broken = any(phrase.casefold() in text.text.casefold() for phrase in limit)
            elif isinstance(limit, Mapping):
                is_broken = any(measured(text, size) > most for size, most in limit.items())
            else:
                is_broken = measured(text) < limit if name.startswith("min_") else measured(text) > limit
            if is_broken:
                yield name


_MEASURES: Mapping[str, Any] = {
    "min_words": lambda text: len(text.words),
    "max_words": lambda text: len(text.words),
    "min_word_length": lambda text: text.word_length,
    "max_word_length": lambda text: text.word_length,
    "phrases": None,
    "min_sentences": lambda text: text.sentences,
    "min_stop_words": None,
    "max_symbols": lambda text: text.symbol_share,
    "min_alphabetic_words": lambda text: text.alphabetic_share,
    "max_bullet_lines": lambda text: text.bullet_share,
    "max_ellipsis_lines": lambda text: text.ellipsis_share,
    "max_unended_lines": lambda text: text.unended_share,
    "max_repeated_lines": lambda text: text.repeated_line_share,
    "max_repeated_paragraphs": lambda text: text.repeated_paragraph_share,
    "max_top_ngrams": Measures.top_ngram_share,
    "max_repeated_ngrams": Measures.repeated_ngram_share,
}
"""What each rule measures, the quick ones first."""
