"""From the text of a completion to columns: tags, or a regular expression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from sdg_prefect.frozen import Frozen


def _valid_pattern(pattern: str) -> str:
    try:
        _compiled(pattern)
    except re.error as error:
        raise PydanticCustomError("pattern", "not a valid regular expression: {reason}.", {"reason": str(error)}) from error
    return pattern


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.DOTALL)


Pattern = Annotated[str, AfterValidator(_valid_pattern)]
"""A regular expression, in which ``.`` matches line ends too."""


LinePattern = Annotated[str, AfterValidator(_valid_pattern)]
"""A regular expression, in which ``.`` ends with the line."""


class ParserOptions(Frozen):
    """How the reply of a model becomes columns."""

    parser_name: str | None = None
    """``custom`` for the pattern below; the prompt's tags otherwise."""
    parsing_pattern: Pattern | None = None
    """Pattern whose groups become the output columns, in order; every match gives a row."""
    parser_cleanup_tags: tuple[str, ...] | None = None
    """Texts that are taken out of each value. Only with a pattern of several groups."""

    @property
    def is_custom(self) -> bool:
        """True if the pattern is used."""
        return self.parser_name == "custom"


def parse_tags(text: str, tags: Sequence[tuple[str, str]], columns: Sequence[str]) -> dict[str, list[str]]:
    """Find what stands between tags.

    Args:
        text: The reply, stripped.
        tags: A start and an end tag for each column; both empty: the whole text; only one of them: up to the end tag, or from the
            start tag to the end of the text.
        columns: Names of the columns; tags beyond them are ignored.

    Returns:
        The matches by column, each stripped; an empty match counts.
    """
    return {column: _between(text, start, end) for column, (start, end) in zip(columns, tags, strict=False)}


def _between(text: str, start: str, end: str) -> list[str]:
    if not text:
        return []
    if not start and not end:
        return [text.strip()]
    pattern = re.escape(start) + "(.*?)" + (re.escape(end) if end else "$")
    return [match.strip() for match in _compiled(pattern).findall(text)]


def parse_pattern(text: str, pattern: str, columns: Sequence[str], cleanup: Sequence[str] = ()) -> dict[str, list[str]]:
    """Find all matches of a pattern.

    With several groups each fills a column; a value is stripped first and cleaned up after, so that space before a cleanup text
    stays. With one group or none the match fills the first column and is only stripped.
    """
    matches: dict[str, list[str]] = {column: [] for column in columns}
    for match in _compiled(pattern).findall(text):
        if isinstance(match, tuple):
            for column, value in zip(columns, match, strict=False):
                matches[column].append(cleaned(value.strip(), cleanup))
        else:
            matches[columns[0]].append(match.strip())
    return matches


def cleaned(text: str, cleanup: Sequence[str]) -> str:
    """Take every occurrence of some texts out of a text."""
    for tag in cleanup:
        text = text.replace(tag, "")
    return text


def rows_of(matches: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Pair the matches of the columns, as far as the shortest goes."""
    return list(zip(*matches.values(), strict=False)) if matches else []
