"""Choose among several replies: the best by its score, or what most of them say."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.parsing import LinePattern
from sdg_prefect.blocks.registry import block
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("ChooseBest")
class ChooseBest(Block):
    """Choose the best of a list of replies by their scores, such as those of a judge or a reward model (best of n).

    ``worst_col`` gets the worst of them, for pairs of a better and a worse reply. Of equal scores the first reply counts. A row
    whose lists do not fit together is rejected.
    """

    family: ClassVar[str] = "Judge and choose"
    example: ClassVar[Example] = Example(
        config={"candidates_col": "replies", "scores_col": "scores", "output_col": "best", "worst_col": "worst"},
        rows=[{"replies": ["Bees.", "Cows.", "Who knows."], "scores": [5.0, 1.0, 2.0]}],
        output=[{"replies": ["Bees.", "Cows.", "Who knows."], "scores": [5.0, 1.0, 2.0], "best": "Bees.", "worst": "Cows."}],
    )

    candidates_col: str = Field(min_length=1)
    """Column with the list of replies."""
    scores_col: str = Field(min_length=1)
    """Column with the list of their scores; a reply whose score is null is passed over."""
    output_col: str = Field(min_length=1)
    """Column that gets the best reply."""
    score_col: str | None = None
    """Column that gets its score."""
    worst_col: str | None = None
    """Column that gets the worst reply; null where all have the same score."""

    def reads(self) -> Iterable[str]:
        return (self.candidates_col, self.scores_col)

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.score_col, self.worst_col) if name is not None]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Choose."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion(tuple(self.writes()))
        lists = (table.column(name).to_pylist() for name in (self.candidates_col, self.scores_col))
        for place, (candidates, scores) in enumerate(zip(*lists, strict=True)):
            ranked = _ranked(candidates, scores)
            if not ranked:
                message = f"'{self.candidates_col}' and '{self.scores_col}' do not hold replies with a score for each."
                context.reject(place, "NoScores", message)
                continue
            best, worst = max(ranked, key=lambda one: one[0]), min(ranked, key=lambda one: one[0])
            told = {
                self.output_col: best[1],
                self.score_col: best[0],
                self.worst_col: worst[1] if worst[0] < best[0] else None,
            }
            expansion.add(place, [told[name] for name in expansion.columns])
        kinds = [pa.float64() if name == self.score_col else pa.string() for name in expansion.columns]
        return to_dataset(expansion.table(table, kinds))


def _ranked(candidates: Any, scores: Any) -> list[tuple[float, str]]:
    """Return the replies that have a score, with it; none where the lists do not fit together."""
    if not isinstance(candidates, list) or not isinstance(scores, list) or len(candidates) != len(scores):
        return []
    return [
        (float(score), str(candidate))
        for candidate, score in zip(candidates, scores, strict=True)
        if candidate is not None and isinstance(score, (int, float)) and not math.isnan(score)
    ]


@block("VoteMajority")
class VoteMajority(Block):
    """Take what most replies of a list say, and how many agree (self-consistency; Wang et al., 2022, arXiv:2203.11171).

    Answers are equal without regard to case, space, a full stop at the end, and how a number is written: ``1,000.0`` is ``1000``.
    Of equally frequent ones the first counts. A row without an answer is rejected.
    """

    family: ClassVar[str] = "Judge and choose"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"input_col": "replies", "output_col": "answer", "pattern": "answer is (.*)"},
        rows=[{"replies": ["So the answer is 12.", "Hence the answer is 11", "The answer is 12"]}],
        output=[
            {
                "replies": ["So the answer is 12.", "Hence the answer is 11", "The answer is 12"],
                "answer": "12",
                "agreement": 0.6666666666666666,
            }
        ],
    )

    input_col: str = Field(min_length=1)
    """Column with the list of replies."""
    output_col: str = Field(min_length=1)
    """Column that gets the answer of the majority."""
    pattern: LinePattern | None = None
    """Regular expression that finds the answer in a reply: its group, or the whole match; the last match counts. Without it a
    reply is its answer. A dot matches all but line ends."""
    agreement_col: str | None = "agreement"
    """Column that gets the share of all replies that say so, those without an answer included; null for none."""
    least_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of replies that have to agree; other rows are left out."""

    @model_validator(mode="after")
    def _one_group(self) -> VoteMajority:
        if self.pattern is not None and re.compile(self.pattern).groups > 1:
            raise PydanticCustomError("pattern", "'pattern' may have one group; write others as (?:...).")
        return self

    def reads(self) -> Iterable[str]:
        return (self.input_col,)

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.agreement_col) if name is not None]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Count the answers of each row."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion(tuple(self.writes()))
        for place, replies in enumerate(table.column(self.input_col).to_pylist()):
            said = replies if isinstance(replies, list) else [replies]
            answers = [answer for reply in said if (answer := self._answer(reply))]
            if not answers:
                context.reject(place, "NoAnswer", f"no reply in '{self.input_col}' has an answer.")
                continue
            ((winner, count),) = Counter(map(_compared, answers)).most_common(1)
            agreement = count / len(said)
            if agreement >= self.least_agreement:
                first = next(answer for answer in answers if _compared(answer) == winner)
                expansion.add(place, [first, agreement][: len(expansion.columns)])
        return to_dataset(expansion.table(table, [pa.string(), pa.float64()]))

    def _answer(self, reply: Any) -> str:
        """Return the answer in a reply; nothing where there is none."""
        if reply is None:
            return ""
        text = str(reply)
        if self.pattern is not None:
            found = re.findall(self.pattern, text)
            text = found[-1] if found else ""
        return text.strip().removesuffix(".").strip()


def _compared(answer: str) -> str:
    """Return an answer as comparisons see it."""
    plain = " ".join(answer.casefold().split()).strip("$*`")
    try:
        number = (
            float(plain.replace(",", "")) if re.fullmatch(r"[+-]?\d{1,3}(?:,\d{3})*(?:\.\d+)?|[+-]?\d*\.?\d+", plain) else None
        )
    except ValueError:
        number = None
    return plain if number is None or abs(number) >= 2**53 else repr(number)
