"""Two runs beside each other."""

from __future__ import annotations

from sdg_prefect.report.comparison import compare, comparison_text
from tests.unit.report.told import step, told


def test_equal_runs_differ_in_nothing() -> None:
    found = compare(told(), told())
    assert [found[name] for name in ("flow", "figures", "blocks", "columns", "gates")] == [[], [], [], [], []]
    assert "the flow and its seeds are the same" in comparison_text(found)


def test_a_changed_prompt_is_shown_line_by_line_and_a_parameter_with_both_values() -> None:
    after = step("ask")
    after["config"] = {**after["config"], "gen_kwargs": {"temperature": 0.2, "n": 2}}
    after["config"]["config_path"] = {"messages": [{"role": "user", "content": "Ask about {{text}}.\nAt length."}]}
    found = compare(told(), told(steps=[after, step("keep", "FilterByValueBlock", scope="all")]))
    changes = {change["what"]: change for change in found["flow"]}
    assert changes["config_path.messages[0].content"]["diff"] == [
        "@@ -1,2 +1,2 @@",
        " Ask about {{text}}.",
        "-Briefly.",
        "+At length.",
    ]
    assert (changes["gen_kwargs.temperature"]["old"], changes["gen_kwargs.temperature"]["new"]) == (0.7, 0.2)
    assert changes["gen_kwargs.n"]["old"] is None
    assert "    +At length.\n" in comparison_text(found)


def test_blocks_that_came_went_or_changed_places_are_told() -> None:
    one = told(steps=[step("a"), step("b"), step("c")])
    other = told(steps=[step("b"), step("a"), step("d")])
    found = {(change["where"], change["what"]): (change["old"], change["new"]) for change in compare(one, other)["flow"]}
    assert found == {
        ("c", "block"): ("LLMBlock", None),
        ("d", "block"): (None, "LLMBlock"),
        ("flow", "order of blocks"): ("a, b", "b, a"),
    }


def test_figures_and_columns_are_compared() -> None:
    found = compare(told(), told(rows_out=5, seconds=9.0, rows=[{"text": "other", "label": label} for label in "abbbb"]))
    assert {entry["name"]: (entry["old"], entry["new"]) for entry in found["figures"]} == {
        "rows_out": (10, 5),
        "seconds": (4.5, 9.0),
    }
    columns = {column["name"]: column for column in found["columns"]}
    assert columns["label"]["distance"] == 0.2
    assert "rows out: 10 → 5  (-50.0%)" in comparison_text(found)


def test_a_run_that_left_nothing_but_its_report_can_be_compared() -> None:
    one, other = told(), told(rows_out=5)
    found = compare(type(one)(one.report), type(other)(other.report))
    assert [entry["name"] for entry in found["figures"]] == ["rows_out"]


def test_of_a_run_without_rows_only_that_is_said_of_its_columns() -> None:
    found = compare(told(), told(run_id="20260102-000000-bbbbbb", rows=[], rows_out=0))
    assert found["columns"] == []
    assert "rows out: 10 → 0" in comparison_text(found)
