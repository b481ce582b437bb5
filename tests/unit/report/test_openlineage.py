"""A run as events of OpenLineage."""

from __future__ import annotations

import json
import re
import uuid

import pytest

from sdg_prefect.report.openlineage import openlineage_events
from tests.unit.report.told import told


def test_a_run_starts_and_completes_with_its_datasets_and_their_columns() -> None:
    run = told()
    start, end = openlineage_events(run.report, run.manifest)
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == end["run"]["runId"] == str(uuid.UUID(start["run"]["runId"]))
    (seeds,), (rows,) = end["inputs"], end["outputs"]
    assert (seeds["namespace"], seeds["name"]) == ("s3://bucket", "seeds.jsonl")
    assert (rows["namespace"], rows["name"]) == ("file", "out.jsonl")
    assert rows["outputFacets"]["outputStatistics"]["rowCount"] == 10
    assert rows["facets"]["version"]["datasetVersion"] == "aa"
    columns = rows["facets"]["columnLineage"]["fields"]
    assert columns["text"]["inputFields"][0]["transformations"] == [{"type": "DIRECT", "subtype": "IDENTITY"}]
    assert columns["question"]["inputFields"][0]["field"] == "text"


def test_every_facet_names_its_producer_and_schema() -> None:
    run = told(error="it broke", status="failed")
    events = openlineage_events(run.report, run.manifest)
    assert events[1]["eventType"] == "FAIL"
    assert events[1]["run"]["facets"]["errorMessage"]["message"] == "it broke"
    for event in events:
        facets = [*event["run"]["facets"].values(), *event["job"]["facets"].values()]
        for dataset in (*event["inputs"], *event["outputs"]):
            facets += [facet for name in ("facets", "inputFacets", "outputFacets") for facet in dataset.get(name, {}).values()]
        assert all(re.match(r"https://", facet["_producer"]) and re.match(r"https://", facet["_schemaURL"]) for facet in facets)
    json.dumps(events)


@pytest.mark.parametrize(("status", "event"), [("interrupted", "ABORT"), ("stopped_by_budget", "ABORT"), ("crashed", "FAIL")])
def test_each_end_of_a_run_has_its_event(status: str, event: str) -> None:
    run = told(status=status, rows_out=0)
    end = openlineage_events(run.report, run.manifest)[1]
    assert (end["eventType"], end["outputs"]) == (event, [])
