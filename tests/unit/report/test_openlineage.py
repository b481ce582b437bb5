"""A run as events of OpenLineage."""

from __future__ import annotations

import json
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from sdg_prefect.report.openlineage import openlineage_events
from tests.unit.report.told import told


@cache
def standard() -> Draft202012Validator:
    """Return what checks an event against the standard."""
    schema = yaml.safe_load(Path(__file__).with_name("openlineage.yaml").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def faults(event: dict[str, Any]) -> list[str]:
    """Return where an event is not what the standard wants."""
    return [f"{error.json_path}: {error.message}" for error in standard().iter_errors(json.loads(json.dumps(event)))]


def test_a_run_starts_and_completes_with_its_datasets_and_their_columns() -> None:
    run = told()
    start, end = openlineage_events(run.report, run.manifest)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == end["run"]["runId"] == str(uuid.UUID(start["run"]["runId"]))
    (seeds,), (rows,) = end["inputs"], end["outputs"]
    assert (seeds["namespace"], seeds["name"]) == ("s3://bucket", "seeds.jsonl")
    assert (rows["namespace"], rows["name"]) == ("file", "/data/my rows/out.jsonl")
    assert rows["outputFacets"]["outputStatistics"]["rowCount"] == 10
    assert rows["facets"]["version"]["datasetVersion"] == "aa"
    columns = rows["facets"]["columnLineage"]["fields"]
    assert columns["text"]["inputFields"][0]["transformations"] == [{"type": "DIRECT", "subtype": "IDENTITY"}]
    assert columns["question"]["inputFields"][0]["field"] == "text"


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"status": "failed", "error": "it broke <b>\x00"},
        {"status": "interrupted", "rows_out": 0},
        {"gates": [{"gate": "length", "holds": False}]},
        {"text": "Straße \U0001f600 \u202e"},
    ],
)
def test_every_event_is_what_the_standard_wants(changed: dict[str, Any]) -> None:
    run = told(**changed)
    for manifest in (run.manifest, {**run.manifest, "git": None, "started": None}):
        assert [fault for event in openlineage_events(run.report, manifest) for fault in faults(event)] == []


def test_what_breaks_the_standard_is_seen() -> None:
    run = told(error="it broke", status="failed")
    _, end = openlineage_events(run.report, run.manifest)
    broken: list[tuple[tuple[str, ...], Any]] = [
        (("eventType",), "DONE"),
        (("eventTime",), "yesterday"),
        (("run", "runId"), run.manifest["run_id"]),
        (("run", "facets", "errorMessage", "text"), "it broke"),
        (("run", "facets", "mine"), {}),
        (("job", "facets", "sourceCodeLocation", "url"), "file:my flows/flow.yaml"),
    ]
    for (*path, name), value in broken:
        event = json.loads(json.dumps(end))
        within = event
        for step in path:
            within = within[step]
        within[name] = value
        assert faults(event), (*path, name)


@pytest.mark.parametrize(("status", "event"), [("interrupted", "ABORT"), ("stopped_by_budget", "ABORT"), ("crashed", "FAIL")])
def test_each_end_of_a_run_has_its_event(status: str, event: str) -> None:
    run = told(status=status, rows_out=0)
    end = openlineage_events(run.report, run.manifest)[1]
    assert (end["eventType"], end["outputs"]) == (event, [])


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("file:///data/my%20seeds.csv", ("file", "/data/my seeds.csv")),
        ("s3://bucket/a/b.parquet", ("s3://bucket", "a/b.parquet")),
        ("s3://bucket", ("s3://bucket", "/")),
        ("hf://org/name", ("hf://org", "name")),
    ],
)
def test_a_place_is_named_the_same_from_everywhere(address: str, place: tuple[str, str]) -> None:
    run = told()
    run.manifest["input"]["address"] = address
    seeds = openlineage_events(run.report, run.manifest)[0]["inputs"][0]
    assert (seeds["namespace"], seeds["name"]) == place
