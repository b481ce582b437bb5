"""Gates: what they measure, when they hold, and which rows break them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.report.expectations import Expectations
from sdg_prefect.report.profile import profile_of
from sdg_prefect.report.verdicts import Evidence, Verdict, judge

ROWS = pa.table(
    {
        "text": ["short", "a text of some length", "a text of some length", None],
        "label": ["yes", "yes", "yes", "no"],
        "one": ["good", "bad", "good", "good"],
        "two": ["good", "good", "good", "good"],
    }
)


def verdict(expect: dict[str, Any], rows: pa.Table = ROWS, **evidence: Any) -> tuple[Verdict, list[bool] | None]:
    """Judge one gate on rows that lie in two tables."""
    ((kind, gate),) = Expectations.model_validate(expect).gates()
    tables = [rows.slice(0, 1), rows.slice(1)]
    found, masks = judge(kind, gate, Evidence(tables, **evidence))
    return found, None if masks is None else [bool(one) for mask in masks for one in mask]


@pytest.mark.parametrize(
    ("gate", "broken", "measured"),
    [
        ({"length": {"column": "text", "min": 6}}, [True, False, False, True], 0.5),
        ({"length": {"column": "text", "max": 6}}, [False, True, True, False], 0.5),
        ({"length": {"column": "text", "min": 1, "max": 100, "share": 0.5}}, [False, False, False, True], 0.25),
        ({"duplicate_rate": {"max": 0.1}}, [False, False, False, False], 0.0),
        ({"duplicate_rate": {"max": 0.1, "columns": ["text"]}}, [False, False, True, False], 0.25),
        ({"duplicate_rate": {"max": 0.5, "columns": ["label", "two"]}}, [False, True, True, False], 0.5),
    ],
)
def test_gates_about_rows_name_the_rows_that_break_them(gate: dict[str, Any], broken: list[bool], measured: float) -> None:
    found, rows = verdict(gate)
    assert rows == broken
    assert found.measured == measured
    assert found.rows == sum(broken)
    assert found.holds == (gate.get("length", {}).get("share") == 0.5 or gate.get("duplicate_rate", {}).get("max", 0) >= measured)


@pytest.mark.parametrize(
    ("gate", "holds", "says"),
    [
        ({"balance": {"column": "label", "min": 0.25}}, True, "'label': no has 25.00%, yes 75.00%; at least 25.00% are expected"),
        ({"balance": {"column": "label", "min": 0.3}}, False, "no has 25.00%"),
        ({"balance": {"column": "label", "max": 0.7}}, False, "yes 75.00%; at most 70.00%"),
        ({"balance": {"column": "label", "min": 0.1, "labels": ["yes", "no", "maybe"]}}, False, "maybe has 0.00%"),
        ({"balance": {"column": "label", "labels": ["yes"]}}, False, "not expected are no"),
        ({"agreement": {"columns": ["one", "two"], "min": 0.75}}, True, "one, two agree in 75.00% of the rows"),
        ({"agreement": {"columns": ["one", "two"], "min": 0.8}}, False, "at least 80.00% should"),
    ],
)
def test_gates_about_all_rows_say_what_was_found(gate: dict[str, Any], holds: bool, says: str) -> None:
    found, rows = verdict(gate)
    assert (found.holds, rows) == (holds, None)
    assert says in found.says


def test_the_accept_rate_is_the_share_of_rows_that_pass() -> None:
    found, _ = verdict({"accept_rate": {"min": 0.4}}, accepted=0.4)
    assert (found.measured, found.holds) == (0.4, True)
    assert not verdict({"accept_rate": {"min": 0.41}}, accepted=0.4)[0].holds


def test_labels_of_few_rows_and_long_ones_are_balanced_too_and_what_is_no_label_is_said() -> None:
    few = pa.table(
        {"label": ["a", "b", "c", "x" * 100], "list": [[1], [2], [3], []], "many": [str(number) for number in range(4)]}
    )
    assert verdict({"balance": {"column": "label", "min": 0.25}}, few)[0].holds
    assert "holds lists" in verdict({"balance": {"column": "list", "min": 0.1}}, few)[0].says
    many = pa.table({"label": [str(number) for number in range(41)]})
    found, _ = verdict({"balance": {"column": "label", "max": 1.0}}, many)
    assert (found.holds, found.measured) == (False, None)
    assert "more than 40 different values" in found.says


def test_contamination_is_found_by_words_in_a_row_whatever_their_case_and_signs() -> None:
    known = "What is the tallest tower that was ever built in the north of the country?"
    rows = pa.table(
        {
            "question": [
                f"So tell me: {known.upper().replace(' ', '  ')} Well?",
                "What is the tallest tower in the south?",
                known[:50],
                None,
            ]
        }
    )
    gate = {"contamination": {"columns": ["question"], "against": "eval.jsonl", "max": 0.1}}
    found, broken = verdict(gate, rows, against={"eval.jsonl": [{"question": known, "id": 1}]})
    assert broken == [True, False, False, False]
    assert (found.measured, found.holds) == (0.25, False)


def test_a_short_text_of_the_evaluation_set_has_to_be_the_whole_text() -> None:
    gate = {"contamination": {"columns": ["a"], "against": "e", "against_columns": ["q"]}}
    rows = pa.table({"a": ["the red door", "open the red door", "something else"]})
    _, broken = verdict(gate, rows, against={"e": [{"q": "The red door.", "other": "something else"}]})
    assert broken == [True, False, False]


def test_drift_is_measured_against_the_last_run_and_holds_without_one() -> None:
    gate = {"drift": {"max": 0.2}}
    before = {**profile_of([ROWS]).to_json(), "run_id": "earlier"}
    assert verdict(gate)[0].says == "no run to compare with came before"
    assert verdict(gate, last=before)[0].measured == 0.0
    others = ROWS.set_column(1, "label", pa.array(["no", "no", "no", "no"]))
    found, _ = verdict(gate, others, last=before)
    assert (found.measured, found.holds) == (0.75, False)
    assert "'label' is 0.750 away from run earlier" in found.says


def test_no_rows_break_nothing() -> None:
    empty = ROWS.slice(0, 0)
    for gate in (
        {"length": {"column": "text", "min": 1}},
        {"duplicate_rate": {"max": 0}},
        {"balance": {"column": "label", "min": 0.1}},
    ):
        assert verdict(gate, empty)[0].holds


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": {"column": "text"}},
        {"length": {"column": "text", "min": 5, "max": 4}},
        {"accept_rate": {"min": 1.5}},
        {"balance": {"column": "label"}},
        {"agreement": {"columns": ["one"], "min": 0.5}},
        {"accept_rate": {"min": 0.5, "action": "explode"}},
        {"nothing": {}},
    ],
    ids=str,
)
def test_a_gate_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Expectations.model_validate(wrong)


def test_several_gates_of_a_kind_are_a_list() -> None:
    two = {"length": [{"column": "a", "min": 1}, {"column": "b", "max": 9, "action": "fail"}]}
    assert [gate.action for _, gate in Expectations.model_validate(two).gates()] == ["warn", "fail"]
