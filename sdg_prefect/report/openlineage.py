"""A run as events of OpenLineage, the open standard that catalogues of data read (https://openlineage.io/docs/spec).

What the standard has facets for is told in these: schemas, statistics, versions, columns that come of columns, the program that
ran, the error it ended with. What it has none for, such as models and prompts, is in facets of our own, as the standard provides.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from sdg_prefect.report.described import steps_of

_SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = "https://openlineage.io/spec/facets"
_PRODUCER = "https://pypi.org/project/sdg-prefect"
_OWN = f"{_PRODUCER}#facets"
_NAMESPACE = uuid.UUID("8f2f6a3c-31c5-5d0f-9a43-5f2c6b1d7e90")
"""Names run ids as UUIDs, which the standard wants."""
_ENDS = {
    "completed": "COMPLETE",
    "completed_with_rejects": "COMPLETE",
    "quarantined": "COMPLETE",
    "interrupted": "ABORT",
    "stopped_by_budget": "ABORT",
    "stopped_by_review": "ABORT",
    "suspended": "ABORT",
    "nothing_new": "COMPLETE",
}


def openlineage_events(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a run: its start, and its end.

    Args:
        report: ``report.json`` of the run.
        manifest: ``manifest.json`` of the run.
    """
    job = {"namespace": "sdg_prefect", "name": manifest["flow"]["name"], "facets": _job_facets(manifest)}
    run = {"runId": str(uuid.uuid5(_NAMESPACE, manifest["run_id"])), "facets": _run_facets(report, manifest)}
    base = {"producer": _PRODUCER, "schemaURL": _SCHEMA, "run": run, "job": job}
    seeds, rows = _seeds(report, manifest), _output(report, manifest)
    return [
        {"eventType": "START", "eventTime": manifest["started"] or manifest["ended"], **base, "inputs": [seeds], "outputs": []},
        {
            "eventType": _ENDS.get(report["status"], "FAIL"),
            "eventTime": manifest["ended"],
            **base,
            "inputs": [seeds],
            "outputs": [rows] if report["rows_out"] else [],
        },
    ]


def _facet(kind: str, of: str, /, **content: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_FACETS}/{of}/{kind}.json#/$defs/{kind}", **content}


def _own_facet(kind: str, /, **content: Any) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": f"{_OWN}-{kind}", **content}


def _job_facets(manifest: Mapping[str, Any]) -> dict[str, Any]:
    flow, git = manifest["flow"], manifest["git"]
    facets = {
        "jobType": _facet("JobTypeJobFacet", "2-0-4", processingType="BATCH", integration="PREFECT", jobType="FLOW"),
        "sdg_flow": _own_facet("flow", key=flow["key"], steps=[_step(step) for step in steps_of(flow).values()]),
    }
    if git:
        facets["sourceCodeLocation"] = _facet(
            "SourceCodeLocationJobFacet",
            "1-1-0",
            type="git",
            url=manifest["flow_address"],
            path=git["path"],
            version=git["revision"],
        )
    return facets


def _run_facets(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    version = manifest["programs"]["packages"].get("prefect", "")
    counts = {name: report[name] for name in report if name.startswith(("rows_", "llm_", "tokens_", "cost_"))}
    facets = {
        "processing_engine": _facet("ProcessingEngineRunFacet", "1-1-1", name="Prefect", version=version),
        "sdg_counts": _own_facet("counts", run_id=manifest["run_id"], **counts),
        "sdg_models": _own_facet("models", models=manifest["flow"]["models"], served=manifest["served_models"]),
        "sdg_gates": _own_facet("gates", gates=report.get("gates", [])),
    }
    if report.get("error"):
        facets["errorMessage"] = _facet("ErrorMessageRunFacet", "1-0-1", message=report["error"], programmingLanguage="Python")
    return facets


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    return {name: step[name] for name in ("label", "type", "version", "key", "models", "prompts")}


def _seeds(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    told = manifest["input"]
    namespace, name = _place(told)
    fields = [{"name": column} for column in told["columns"]]
    return {
        "namespace": namespace,
        "name": name,
        "facets": {
            "schema": _facet("SchemaDatasetFacet", "1-2-0", fields=fields),
            "version": _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=str(told["stored"] or "")),
        },
        "inputFacets": {"inputStatistics": _facet("InputStatisticsInputDatasetFacet", "1-0-0", rowCount=report["rows_in"])},
    }


def _output(report: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    told = manifest["output"]
    namespace, name = _place(told)
    statistics: dict[str, Any] = {"rowCount": report["rows_out"]}
    if told["files"]:
        statistics |= {"size": sum(file["size"] for file in told["files"]), "fileCount": len(told["files"])}
    version = told["files"][0]["sha256"] if len(told["files"]) == 1 else manifest["run_id"]
    return {
        "namespace": namespace,
        "name": name,
        "facets": {
            "schema": _facet("SchemaDatasetFacet", "1-2-0", fields=told["columns"]),
            "version": _facet("DatasetVersionDatasetFacet", "1-0-1", datasetVersion=version),
            "columnLineage": _facet("ColumnLineageDatasetFacet", "1-2-0", fields=_columns(manifest)),
        },
        "outputFacets": {"outputStatistics": _facet("OutputStatisticsOutputDatasetFacet", "1-0-2", **statistics)},
    }


def _columns(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Say which columns come of which: those of the seeds as they were; what a block wrote, of all that it could read."""
    namespace, name = _place(manifest["input"])
    seeds = list(manifest["input"]["columns"])

    def source(column: str) -> dict[str, Any]:
        return {"namespace": namespace, "name": name, "field": column}

    found = {}
    for column in (told["name"] for told in manifest["output"]["columns"]):
        kept = column in seeds
        kinds = {"type": "DIRECT", "subtype": "IDENTITY"} if kept else {"type": "DIRECT", "subtype": "TRANSFORMATION"}
        origins = [source(one) for one in ([column] if kept else seeds)]
        found[column] = {"inputFields": [{**origin, "transformations": [kinds]} for origin in origins]}
    return found


def _place(told: Mapping[str, Any]) -> tuple[str, str]:
    """Return a place as the standard names it: ``s3://bucket`` and a key, ``file`` and a path."""
    scheme, _, rest = str(told["address"]).partition("://")
    if scheme == "file":
        return scheme, unquote(rest)
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key or "/"
