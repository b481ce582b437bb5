"""Runs over seeds that change: rows of new ones are added to the output, and nothing is paid twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.store.seeds import read_seeds
from tests.e2e.commands import Ran

if TYPE_CHECKING:
    from pathlib import Path

    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e


def documents_in(file: Path) -> list[str]:
    """Return what the rows of an output were made of."""
    return [json.loads(line)["document"] for line in file.read_text("utf-8").splitlines()]


def version_of(ran: Ran) -> dict[str, Any]:
    """Return what the report says of the version."""
    assert ran.code == 0, ran.stderr
    version: dict[str, Any] = ran.report["version"]
    return version


def test_a_growing_input_costs_its_new_seeds_and_one_without_new_ones_nothing(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(6)
    project.seeds(seeds[:3])
    first = version_of(project.run(model.url, "--incremental"))
    assert first == {"number": 1, "rows": 3, "seeds": 3, "rows_added": 3, "seeds_added": 3}
    paid = model.stats()["completions"]
    output = (project.folder / "out.jsonl").read_bytes()

    again = project.run(model.url, "--incremental")
    assert (again.code, again.report["status"], again.report["llm_calls"]) == (0, "nothing_new", 0)
    assert "nothing new: version 1 has 3 rows of 3 seeds" in again.stderr
    assert (project.folder / "out.jsonl").read_bytes() == output
    assert model.stats()["completions"] == paid

    # One seed is changed, one removed, one new; all stand in another order.
    changed = {"document": "Island 0 has no wells any more."}
    project.seeds([seeds[4], changed, seeds[1]])
    words = (
        "plan",
        "flow.yaml",
        "--input",
        "seeds.jsonl",
        "--output",
        "out.jsonl",
        "--incremental",
        "--api-base",
        model.url,
        "--json",
    )
    planned = project.command(*words, SDG_PREFECT_STORAGE="store").wait()
    assert json.loads(planned.stdout)["outlook"]["seeds"] == 2
    second = version_of(project.run(model.url, "--incremental"))
    assert second == {"number": 2, "rows": 5, "seeds": 5, "rows_added": 2, "seeds_added": 2}
    assert model.stats()["completions"] == paid + 4
    added = [seeds[4]["document"], changed["document"]]
    assert documents_in(project.folder / "out.jsonl") == [*(row["document"] for row in seeds[:3]), *added]
    assert (project.folder / "out.jsonl").read_bytes().startswith(output)

    # The whole: rows of seeds that are gone leave, and known ones cost nothing.
    mirrored = project.run(model.url, "--mirror")
    assert version_of(mirrored) == {"number": 3, "rows": 3, "seeds": 3, "rows_added": 3, "seeds_added": 3}
    assert mirrored.report["llm_calls"] == 0
    assert documents_in(project.folder / "out.jsonl") == [*added, seeds[1]["document"]]
    assert project.run(model.url, "--mirror").report["status"] == "nothing_new"
    assert model.stats()["completions"] == paid + 4


def test_a_rejected_seed_stays_new_until_it_gives_rows(project: Project, model: SimulatedModel) -> None:
    project.seeds(4)
    model.change(malformed_share=1.0)
    first = project.run(model.url, "--incremental", "--limit", "2")
    assert (first.code, first.report["status"], first.report["version"]) == (1, "completed_with_rejects", None)
    model.change(malformed_share=0.0)
    second = project.run(model.url, "--incremental", "--limit", "2", "--retry-rejects")
    assert version_of(second) == {"number": 1, "rows": 2, "seeds": 2, "rows_added": 2, "seeds_added": 2}
    third = version_of(project.run(model.url, "--incremental", "--limit", "2"))
    assert third == {"number": 2, "rows": 4, "seeds": 4, "rows_added": 2, "seeds_added": 2}


def test_an_edited_flow_and_a_block_that_sees_all_rows_are_warned_of(project: Project, model: SimulatedModel) -> None:
    project.seeds(2)
    version_of(project.run(model.url, "--incremental"))
    project.write("flow.yaml", project.flow.read_text("utf-8") + "  drop_duplicates: [answer]\n".replace("  drop", "    drop"))
    project.seeds(3)
    ran = project.run(model.url, "--incremental")
    assert version_of(ran)["rows_added"] == 1
    assert "warning: the flow is not what it was for version 1 of out.jsonl" in ran.stderr
    assert "sees the rows of one version only" in ran.stderr
    assert len(ran.report["warnings"]) == 2


def test_days_of_a_partition_on_s3_are_added_one_by_one(project: Project, model: SimulatedModel, bucket: str) -> None:
    import s3fs

    disk = s3fs.S3FileSystem()
    for day, row in zip(("2026-11-01", "2026-11-03"), project.documents(2), strict=True):
        disk.pipe_file(f"{bucket}/in/{day}/a.jsonl", json.dumps(row).encode())
    places = (
        "--input",
        f"s3://{bucket}/in/{{date}}/*.jsonl",
        "--output",
        f"s3://{bucket}/out/",
        "--storage",
        f"s3://{bucket}/st",
    )
    words = ("run", "flow.yaml", *places, "--api-base", model.url, "--incremental", "--json")
    ran = project.command(*words, "--from", "2026-11-01", "--to", "2026-11-03").wait()
    assert ran.code == 0, ran.stderr
    reports = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(one["status"], one["version"]["number"], one["version"]["rows"]) for one in reports] == [
        ("completed", 1, 1),
        ("nothing_new", 1, 1),
        ("completed", 2, 2),
    ]
    assert project.command(*words, "--date", "2026-11-03").wait().report["status"] == "nothing_new"
    assert [row["document"] for row in read_seeds(f"s3://{bucket}/out/").to_pylist()] == [
        row["document"] for row in project.documents(2)
    ]
