"""Parts of the seeds that a run takes by name: ``s3://bucket/in/{date}/*.jsonl`` for one day, or any other name in braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError, Problem, did_you_mean

_NAME = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}]*))?\}")
_DATE = "date"
_FORMAT = "%Y-%m-%d"


def of_partition(options: RunOptions, now: datetime | None = None) -> RunOptions:
    """Return options whose input and output are those of the partition that they name.

    Args:
        options: The options.
        now: When the run was to begin; the present moment if not given.

    Raises:
        FlowError: The date, the time zone or a value cannot be read, or a name in braces has none.
    """
    problems: list[Problem] = []
    values = _values(options.partition, problems)
    day = _day(options, now or datetime.now(UTC), problems)
    used: set[str] = set()
    places = {
        name: _filled(place, values, day, used, problems)
        for name in ("input", "output")
        if isinstance(place := getattr(options, name), str)
    }
    given = {**values, **({_DATE: ""} if options.date else {})}
    problems += [
        Problem(f"there is no {{{name}}} in the input or the output.", f"Write it where the value of '{name}' belongs.")
        for name in given
        if name not in used
    ]
    if problems:
        raise FlowError(problems)
    return options.model_copy(update={**places, "date": None, "partition": ()})


def days(first: str, last: str) -> Iterator[str]:
    """Yield the days from one to another, both included, as ``YYYY-MM-DD``.

    Raises:
        FlowError: One cannot be read, or the last is before the first.
    """
    start, end = (_read_day(text) for text in (first, last))
    if end < start:
        raise FlowError(f"{last} is before {first}.", "Give the first day with --from and the last with --to.")
    for number in range((end - start).days + 1):
        yield (start + timedelta(days=number)).isoformat()


def _values(texts: Sequence[str], problems: list[Problem]) -> dict[str, str]:
    values = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or name == _DATE:
            hint = "Give the day with --date." if name == _DATE else ""
            problems.append(Problem(f"--partition '{text}' is not of the form NAME=VALUE.", hint))
            continue
        if ".." in value.split("/"):
            problems.append(Problem(f"--partition {name}: '{value}' leads out of the folder.", "Write a name without '..'."))
            continue
        values[name] = value
    return values


def _day(options: RunOptions, now: datetime, problems: list[Problem]) -> date:
    try:
        zone = ZoneInfo(options.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(Problem(f"there is no time zone '{options.timezone}'.", "Write one such as Europe/Berlin or UTC."))
        zone = ZoneInfo("UTC")
    today = now.astimezone(zone).date()
    if options.date in (None, "today"):
        return today
    if options.date == "yesterday":
        return today - timedelta(days=1)
    try:
        return _read_day(options.date or "")
    except FlowError as error:
        problems.extend(error.problems)
        return today


def _read_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise FlowError(f"'{text}' is not a day.", "Write one such as 2026-11-01.") from None


def _filled(place: str, values: Mapping[str, str], day: date, used: set[str], problems: list[Problem]) -> str:
    """Return a place with the values of the names in braces."""

    def value(match: re.Match[str]) -> str:
        name, form = match.group(1), match.group(2)
        used.add(name)
        if name == _DATE:
            return day.strftime(form or _FORMAT)
        if name not in values:
            near = did_you_mean(name, [*values, _DATE])
            hint = near if near.startswith("Did") else f"Give it with --partition {name}=VALUE."
            problems.append(Problem(f"'{{{name}}}' in '{place}' has no value.", hint))
        return values.get(name, "")

    return _NAME.sub(value, place)
