"""Values drawn by chance: the right ones, in the right shares, the same whatever the shards."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from statistics import fmean, pstdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.blocks import find_block
from sdg_prefect.testing import run_block

ROWS = [{"n": number, "field": ("science", "letters", None)[number % 3]} for number in range(3000)]


def drawn(name: str, rows: list[dict[str, Any]] = ROWS, shard_size: int | None = None, **config: Any) -> list[Any]:
    cls = find_block(name)
    assert cls is not None
    block = cls.model_validate({"block_name": "draw", "output_col": "drawn", **config})
    return [row["drawn"] for row in run_block(block, rows, shard_size=shard_size).rows]


def refused(name: str, **config: Any) -> str:
    with pytest.raises(ValidationError) as error:
        drawn(name, [], **config)
    return str(error.value)


SAMPLERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SampleCategory", {"values": ["a", "b", "c"]}),
    ("SampleNumber", {"distribution": "gaussian", "mean": 0, "deviation": 1}),
    ("SampleDatetime", {"start": "2020-01-01", "end": "2024-12-31"}),
    ("SamplePerson", {"parts": ["name", "email", "street", "job"]}),
)


@pytest.mark.parametrize(("name", "config"), SAMPLERS)
@settings(max_examples=5)
@given(shard_size=st.integers(1, 40))
def test_a_row_gets_the_same_value_whatever_the_shards(name: str, config: dict[str, Any], shard_size: int) -> None:
    rows = ROWS[:40]
    assert drawn(name, rows, shard_size, **config) == drawn(name, rows, **config)


@pytest.mark.parametrize(("name", "config"), SAMPLERS)
def test_rows_get_different_values(name: str, config: dict[str, Any]) -> None:
    assert len(set(map(str, drawn(name, ROWS[:40], **config)))) > 2


def test_categories_come_in_the_shares_of_their_weights() -> None:
    counts = Counter(drawn("SampleCategory", values={"often": 3, "seldom": 1, "never": 0}))
    assert set(counts) == {"often", "seldom"}
    assert counts["often"] / len(ROWS) == pytest.approx(0.75, abs=0.03)
    assert Counter(drawn("SampleCategory", values=[1, 2]))[1] / len(ROWS) == pytest.approx(0.5, abs=0.03)


def test_several_categories_of_a_row_differ_and_follow_their_weights() -> None:
    found = drawn("SampleCategory", values={"a": 10, "b": 1, "c": 1}, count=2)
    assert all(len(set(pair)) == 2 for pair in found)
    assert sum("a" in pair for pair in found) / len(ROWS) > 0.9


def test_what_is_drawn_depends_on_another_column() -> None:
    found = drawn(
        "SampleCategory",
        values=["other"],
        depends_on="field",
        cases={"science": {"values": ["physics", "biology"]}, "letters": {"values": {"prose": 1}}},
    )
    assert {value for row, value in zip(ROWS, found, strict=True) if row["field"] == "science"} == {"physics", "biology"}
    assert {value for row, value in zip(ROWS, found, strict=True) if row["field"] == "letters"} == {"prose"}
    assert {value for row, value in zip(ROWS, found, strict=True) if row["field"] is None} == {"other"}


def test_numbers_have_the_mean_and_the_spread_that_were_asked_for() -> None:
    gaussian = drawn("SampleNumber", distribution="gaussian", mean=10, deviation=2)
    assert fmean(gaussian) == pytest.approx(10, abs=0.2)
    assert pstdev(gaussian) == pytest.approx(2, abs=0.2)
    assert fmean(drawn("SampleNumber", low=0, high=1)) == pytest.approx(0.5, abs=0.03)
    assert fmean(drawn("SampleNumber", distribution="exponential", mean=4)) == pytest.approx(4, abs=0.4)
    poisson = drawn("SampleNumber", distribution="poisson", mean=3)
    assert fmean(poisson) == pytest.approx(3, abs=0.2)
    assert all(isinstance(number, int) for number in poisson)


def test_numbers_keep_to_their_bounds() -> None:
    assert set(drawn("SampleNumber", low=1, high=3, whole=True)) == {1, 2, 3}
    bounded = drawn("SampleNumber", distribution="gaussian", mean=0, deviation=10, low=-1, high=1)
    assert -1 <= min(bounded) < -0.5
    assert 0.5 < max(bounded) <= 1
    assert drawn("SampleNumber", ROWS[:2], distribution="gaussian", mean=100, deviation=0, low=0, high=1) == [1, 1]
    assert {round(number, 1) == number for number in drawn("SampleNumber", low=0, high=1, decimals=1)} == {True}


def test_moments_lie_between_the_two_and_are_written_as_asked() -> None:
    days = drawn("SampleDatetime", start="2024-02-27", end="2024-03-01", unit="day", format="%d.%m.%Y")
    assert set(days) == {"27.02.2024", "28.02.2024", "29.02.2024", "01.03.2024"}
    moments = [
        datetime.fromisoformat(text)
        for text in drawn("SampleDatetime", start="2024-01-01T00:00+02:00", end="2024-01-01T01:00+02:00")
    ]
    assert {moment.utcoffset() for moment in moments} == {moments[0].utcoffset()}
    assert max(moments).hour in (0, 1)


def test_a_date_without_quotes_in_yaml_is_understood() -> None:
    assert drawn("SampleDatetime", ROWS[:1], start=date(2024, 5, 1), end=date(2024, 5, 1)) == ["2024-05-01T00:00:00"]


def test_the_parts_of_a_person_fit_together() -> None:
    people = drawn(
        "SamplePerson", ROWS[:200], parts=["name", "first_name", "last_name", "sex", "age", "birthday", "email"], age=[30, 40]
    )
    for person in people:
        assert person["name"] == f"{person['first_name']} {person['last_name']}"
        assert 30 <= person["age"] <= 40
        born = date.fromisoformat(person["birthday"])
        assert (date(2025, 1, 1) - born).days // 365.25 in (person["age"], person["age"] - 1, person["age"] + 1)
        assert person["last_name"].lower()[:1] in person["email"]
        assert person["email"].endswith((".com", ".net", ".org", ".test", ".example", ".invalid"))
    assert {person["sex"] for person in people} == {"female", "male"}


def test_persons_of_two_locales_in_one_column() -> None:
    people = drawn("SamplePerson", ROWS[:30], parts=["name"], depends_on="field", cases={"science": {"locale": "ja_JP"}})
    assert any(not person["name"].isascii() for person in people)


def test_what_could_never_be_drawn_is_refused_before_a_run() -> None:
    assert "0 values with a weight above 0" in refused("SampleCategory", values={"a": 0})
    assert "3 are to be drawn" in refused("SampleCategory", values=["a", "b"], count=3)
    assert "quote those that are text" in refused("SampleCategory", values=["a", True])
    assert "'depends_on' and 'cases' go together" in refused("SampleCategory", values=["a"], depends_on="field")
    assert "the case 'x': low" in refused("SampleNumber", low=0, high=1, depends_on="field", cases={"x": {"low": "much"}})
    assert "cannot change output_col" in refused(
        "SampleNumber", low=0, high=1, depends_on="field", cases={"x": {"output_col": "y"}}
    )
    assert "needs 'deviation'" in refused("SampleNumber", distribution="gaussian", mean=1)
    assert "'low' is above 'high'" in refused("SampleNumber", low=2, high=1)
    assert "no whole number" in refused("SampleNumber", low=0.2, high=0.8, whole=True)
    assert "'start' is after 'end'" in refused("SampleDatetime", start="2024-01-02", end="2024-01-01")
    assert "ISO 8601" in refused("SampleDatetime", start="yesterday", end="2024-01-01")
    assert "a time zone, or none" in refused("SampleDatetime", start="2024-01-01T00:00Z", end="2024-01-02")
    assert "no locale 'xx_XX'" in refused("SamplePerson", locale="xx_XX")
