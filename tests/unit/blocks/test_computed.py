"""Columns that a template makes of the row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.computed import ComputeColumn
from sdg_prefect.testing import BlockResult, run_block


def computed(template: str, kind: str, rows: list[dict[str, Any]]) -> BlockResult:
    return run_block(
        ComputeColumn.model_validate({"block_name": "c", "output_col": "out", "template": template, "type": kind}), rows
    )


@pytest.mark.parametrize(
    ("template", "kind", "expected"),
    [
        ("{{ a }} and {{ b }}", "text", "2 and x"),
        ("{{ a * 2 }}", "integer", 4),
        ("{{ a / 4 }}", "number", 0.5),
        ("{{ a > 1 }}", "boolean", True),
        ("{{ [b, a] | tojson }}", "list", ["x", "2"]),
        ("{{ missing_of_the_row is defined }}", "boolean", False),
        ("{% if a > 5 %}{{ a }}{% endif %}", "integer", None),
        ("{{ 9007199254740993 }}", "integer", 9007199254740993),
    ],
)
def test_a_template_becomes_a_value_of_its_type(template: str, kind: str, expected: Any) -> None:
    assert computed(template, kind, [{"a": 2, "b": "x"}]).rows[0]["out"] == expected


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{{ b }}", "integer"),
        ("{{ 2.5 }}", "integer"),
        ("{{ 10 ** 0 }}", "number"),
        ("maybe", "boolean"),
        ("{}", "list"),
        ("{{ 99999999999999999999 }}", "integer"),
    ],
)
def test_a_row_whose_result_is_no_value_of_the_type_is_rejected(template: str, kind: str) -> None:
    made = computed(template, kind, [{"a": 2, "b": "x"}])
    assert made.rows == []
    assert made.rejects[0].error in ("WrongType", "TemplateFailed")


def test_the_type_of_the_column_does_not_depend_on_the_rows() -> None:
    assert computed("{{ a }}", "number", []).table.schema.field("out").type == pa.float64()


def test_a_template_cannot_reach_into_python() -> None:
    with pytest.raises(ValidationError, match="not a part of a row"):
        computed("{{ ''.__class__ }}", "text", [])
    with pytest.raises(ValidationError, match="the template is wrong"):
        computed("{{ a", "text", [])
