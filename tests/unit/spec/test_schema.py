"""The JSON Schema of flow files takes what the reader takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sdg_prefect.blocks import block_names, find_block
from sdg_prefect.spec.schema import block_schema, flow_schema

ROOT = Path(__file__).parents[3]
FLOWS = sorted(
    path
    for folder in ("flows", "examples")
    for path in (ROOT / folder).rglob("flow.yaml")
    # A block of one's own is known once its module is, and one of a package once that is installed.
    if not any((path.parent / name).exists() for name in ("blocks.py", "pyproject.toml"))
)
GOOD: dict[str, Any] = {
    "block_type": "RenameColumns",
    "block_config": {"block_name": "rename", "columns_map": {"a": "b"}},
}


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = flow_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.parent.name)
def test_every_flow_that_ships_fits_the_schema(path: Path, validator: Any) -> None:
    validator.validate(yaml.safe_load(path.read_text("utf-8")))


@pytest.mark.parametrize(
    "flow",
    [
        [GOOD],
        {"name": "x", "blocks": [GOOD]},
        {"pipelines": [{"name": "x", "blocks": [GOOD]}, {"flow": "other.yaml"}]},
        {"x-common": {"a": 1}, "blocks": [GOOD]},
        {
            "blocks": [GOOD],
            "models": {"teacher": {"model": "x", "endpoints": [{"api_base": "a", "max_concurrency": 4}, {"timeout": 9}]}},
        },
    ],
    ids=["list", "mapping", "workflow", "keys of ones own", "endpoints"],
)
def test_all_three_roots_fit(flow: Any, validator: Any) -> None:
    validator.validate(flow)


@pytest.mark.parametrize(
    "flow",
    [
        [],
        "text",
        {"name": "x"},
        [{**GOOD, "block_type": "RenamColumns"}],
        [{**GOOD, "drop_colums": []}],
        [{**GOOD, "block_config": {"block_name": "x", "colums_map": {}}}],
        {"nmae": "x", "blocks": [GOOD]},
        {"blocks": [GOOD], "models": {"teacher": {"model": "x", "api_key": "sk"}}},
        {"blocks": [GOOD], "models": {"teacher": {"model": "x", "endpoints": []}}},
        {"blocks": [GOOD], "models": {"teacher": {"model": "x", "endpoints": [{"api_bse": "a"}]}}},
        {"pipelines": [{"nam": "x", "blocks": [GOOD]}]},
    ],
)
def test_what_the_reader_refuses_does_not_fit(flow: Any, validator: Any) -> None:
    assert not validator.is_valid(flow)


def test_a_parameter_or_a_variable_can_stand_for_any_value_of_a_block_and_no_other_text_can(validator: Any) -> None:
    def sample(**config: Any) -> list[Any]:
        return [{"block_type": "SampleCategory", "block_config": {"block_name": "draw", "output_col": "kind", **config}}]

    given = "${parameters.given}"
    for config in (
        {"values": given},
        {"values": {"a": given}},
        {"values": ["a", "b"], "count": given},
        {"values": ["a"], "count": "${N:-1}"},
    ):
        assert validator.is_valid(sample(**config)), config
    for config in ({"values": "a"}, {"values": {"a": "many"}}, {"values": ["a", "b"], "count": "two"}):
        assert not validator.is_valid(sample(**config)), config


@pytest.mark.parametrize(
    "name", [name for name in block_names() if (find_block(name) or object).__module__.startswith("sdg_prefect.")]
)
def test_every_field_of_a_block_is_described(name: str) -> None:
    cls = find_block(name)
    assert cls is not None
    schema = block_schema(cls)
    assert schema["description"]
    if not name.startswith("OpenAI"):
        assert [field for field, about in schema["properties"].items() if not about.get("description")] == []
