"""Names in braces in the input and the output."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.partitions import days, of_partition
from sdg_prefect.errors import FlowError

LATE = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)


def places(**options: Any) -> tuple[Any, str | None]:
    """Return the input and the output of a run that was to begin late in October."""
    found = of_partition(RunOptions(flow="flow.yaml", **options), LATE)
    return found.input, found.output


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"input": "in/{date}/*.jsonl", "output": "out.jsonl"}, ("in/2026-10-31/*.jsonl", "out.jsonl")),
        ({"input": "in/{date}.csv", "date": "yesterday"}, ("in/2026-10-30.csv", None)),
        ({"input": "in/{date}.csv", "date": "today"}, ("in/2026-10-31.csv", None)),
        ({"input": "in/{date}.csv", "date": "2026-02-28"}, ("in/2026-02-28.csv", None)),
        ({"input": "in/{date}.csv", "timezone": "Europe/Berlin"}, ("in/2026-11-01.csv", None)),
        ({"input": "in/{date:%Y/%m}/a.csv", "output": "out/{date:%d}.csv"}, ("in/2026/10/a.csv", "out/31.csv")),
        ({"input": "in/{lang}.csv", "output": "{lang}/{part}", "partition": ["lang=de", "part=a=b"]}, ("in/de.csv", "de/a=b")),
        ({"input": "s3://bucket/seeds.jsonl", "output": "{}.jsonl"}, ("s3://bucket/seeds.jsonl", "{}.jsonl")),
        ({"input": [{"a": "{date}"}]}, ([{"a": "{date}"}], None)),
    ],
)
def test_names_in_braces_get_their_values(options: dict[str, Any], expected: tuple[Any, str | None]) -> None:
    assert places(**options) == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"input": "in/{dat}.csv"}, "'{dat}' in 'in/{dat}.csv' has no value. Did you mean 'date'?"),
        ({"input": "in/{lang}.csv"}, "'{lang}' in 'in/{lang}.csv' has no value. Give it with --partition lang=VALUE."),
        ({"input": "{date}", "date": "11/01"}, "'11/01' is not a day. Write one such as 2026-11-01."),
        (
            {"input": "in.csv", "date": "today"},
            "there is no {date} in the input or the output. Write it where the value of 'date'",
        ),
        ({"input": "in.csv", "partition": ["a=b"]}, "there is no {a} in the input or the output."),
        ({"input": "in.csv", "partition": ["lang"]}, "--partition 'lang' is not of the form NAME=VALUE."),
        ({"input": "{date}", "partition": ["date=x"]}, "Give the day with --date."),
        ({"input": "{date}", "timezone": "Mars/Base"}, "there is no time zone 'Mars/Base'."),
    ],
)
def test_a_wrong_part_is_told(options: dict[str, Any], told: str) -> None:
    with pytest.raises(FlowError) as raised:
        places(**options)
    assert told in str(raised.value)
    assert len(raised.value.problems) == 1


def test_what_is_filled_in_needs_no_values_any_more() -> None:
    once = of_partition(RunOptions(flow="f", input="{date}/{a}", partition=["a=1"], date="2026-01-01"))
    assert of_partition(once) == once


def test_several_days_include_the_first_and_the_last() -> None:
    assert list(days("2026-02-27", "2026-03-01")) == ["2026-02-27", "2026-02-28", "2026-03-01"]
    with pytest.raises(FlowError, match="2026-01-01 is before 2026-01-02"):
        list(days("2026-01-02", "2026-01-01"))
