"""Files that are damaged after a run: the same command finds, names, sets aside and makes them again, and pays nothing."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 - to poison a file
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.frozen import canonical
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from sdg_prefect.store.checkpoints import read_record, read_rejects, sealed
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shard
from tests.damage import Poison, flip, flipped, truncate
from tests.s3 import another_client

if TYPE_CHECKING:
    import s3fs

    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

FLOW = """\
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: SelectorBlock
  block_config: {block_name: pick, choice_map: {a: document, b: question}, choice_col: choice, output_col: picked}
- block_type: LLMBlock
  block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
- block_type: SetToMajorityValue
  block_config: {block_name: common, col_name: picked}
"""
"""Two blocks that ask, one that rejects what has no choice, and one that waits for all rows."""
DATA = "data-*.arrow"
RECORD = "result.json"
REJECTS = "rejects.jsonl"


def seeds(project: Project) -> list[Row]:
    """Return seeds of which one will be rejected."""
    choices = ["a", "b", "none", "a", "b", "a"]
    return [{**seed, "choice": choice} for seed, choice in zip(project.documents(6), choices, strict=True)]


def run(project: Project, model: SimulatedModel, **options: Any) -> list[Row]:
    """Run the flow."""
    return project.generate(seeds(project), model.url, shard_size=2, allow_rejects=True, **options)


def finished(project: Project, model: SimulatedModel) -> list[Row]:
    """Leave a finished store, and return the rows."""
    project.write("flow.yaml", FLOW)
    rows = run(project, model)
    assert (len(rows), len(project.rejects())) == (5, 1)
    return rows


def files(project: Project, part: str, name: str) -> list[Path]:
    """Return the files of a name in a part of the store."""
    found = sorted((project.store / part).rglob(name))
    assert found
    return found


def edit(path: Path) -> None:
    """Change a letter in a record, and leave it well-formed."""
    text = path.read_text("utf-8")
    edited = text.replace("rows_in", "rows_on", 1)
    assert edited != text
    path.write_text(edited, "utf-8")


def assert_made_again(project: Project, model: SimulatedModel, rows: list[Row], damaged: list[Path]) -> None:
    """Run the same again; all is as it was, nothing was paid, and the damaged files are named and set aside."""
    rejects, paid = project.rejects(), model.stats()["completions"]
    assert run(project, model) == rows
    assert model.stats()["completions"] == paid
    assert project.rejects() == rejects
    report = project.report()
    assert (report["status"], report["llm_calls"], report["rows_rejected"]) == ("completed_with_rejects", 0, 1)
    said = report["warnings"]
    assert all(sum(str(path) in line for line in said) == 1 for path in damaged), said
    assert len(said) == len(damaged)
    aside = sorted((project.store / "damaged").iterdir())
    assert len(aside) == len(damaged)
    assert all(sum(str(place) in line for line in said) == 1 for place in aside)
    assert run(project, model) == rows
    assert project.report()["warnings"] == []
    assert project.report()["llm_replayed"] == report["llm_replayed"]
    assert all(block["shards"] == block["shards_replayed"] for block in project.report()["blocks"])


@pytest.mark.parametrize(
    "damage", [flip, pytest.param(truncate, marks=pytest.mark.long), pytest.param(Path.unlink, marks=pytest.mark.long)]
)
def test_damaged_data_of_checkpoints_is_made_again(
    project: Project, model: SimulatedModel, damage: Callable[[Path], None]
) -> None:
    rows = finished(project, model)
    damaged = {files(project, "checkpoints", REJECTS)[0].parent: REJECTS}
    folders = [path.parent for path in files(project, "checkpoints", "state.json") if path.parent not in damaged]
    names = [path.name for path in folders[0].iterdir()]
    assert len(names) == 3
    damaged |= dict(zip(folders[:: len(folders) // 3], names, strict=False))
    for folder, name in damaged.items():
        damage(folder / name)
    assert_made_again(project, model, rows, [folder / name for folder, name in damaged.items()])


def test_damaged_records_are_made_again(project: Project, model: SimulatedModel) -> None:
    rows = finished(project, model)
    damaged = files(project, "checkpoints", RECORD)[::3]
    for path, damage in zip(damaged, (flip, truncate, edit, flip), strict=True):
        damage(path)
    assert_made_again(project, model, rows, damaged)


def test_lost_records_are_made_again(project: Project, model: SimulatedModel) -> None:
    rows, paid = finished(project, model), model.stats()["completions"]
    for path in files(project, "checkpoints", RECORD):
        path.unlink()
    assert run(project, model) == rows
    assert model.stats()["completions"] == paid
    assert project.report()["warnings"] == []


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        (DATA, flip),
        pytest.param("state.json", Path.unlink, marks=pytest.mark.long),
        pytest.param(RECORD, truncate, marks=pytest.mark.long),
    ],
)
def test_damaged_seeds_are_put_there_again(
    project: Project, model: SimulatedModel, name: str, damage: Callable[[Path], None]
) -> None:
    rows = finished(project, model)
    path = files(project, "inputs", name)[-1]
    damage(path)
    assert_made_again(project, model, rows, [path])


def test_an_arrow_file_of_other_rows_is_damage(project: Project, model: SimulatedModel) -> None:
    rows = finished(project, model)
    one, other, *_ = files(project, "checkpoints", DATA)
    one.write_bytes(other.read_bytes() if other.read_bytes() != one.read_bytes() else b"")
    assert_made_again(project, model, rows, [one])


def test_a_terminal_shows_what_is_damaged(project: Project, model: SimulatedModel) -> None:
    project.seeds(4)
    assert project.run(model.url).code == 0
    path = files(project, "checkpoints", DATA)[0]
    flip(path)
    ran = project.run(model.url)
    assert ran.code == 0
    (line,) = [line for line in ran.stderr.splitlines() if "damaged" in line]
    assert str(path.relative_to(project.store)) in line
    assert "set aside in" in line
    assert "Traceback" not in ran.stderr


def test_pickles_in_place_of_files_are_not_executed(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = project.folder / "trace"
    monkeypatch.setenv("TRACE", str(trace))
    rows = finished(project, model)
    data, record = files(project, "checkpoints", DATA)[0], files(project, "checkpoints", RECORD)[-1]
    assert data.parent.parent != record.parent
    data.write_bytes(pickle.dumps(Poison()))
    # What Prefect's own reading would unpickle, with a checksum that is right.
    text = pickle.dumps(Poison(), protocol=0).decode("ascii")
    result = {"metadata": {"serializer": {"type": "pickle", "picklelib": "pickle"}}, "result": text}
    record.write_bytes(sealed(canonical(result)))
    assert_made_again(project, model, rows, [data, record])
    assert not trace.exists()


def test_a_shard_that_is_damaged_in_the_middle_of_a_run_is_made_again_in_it(project: Project, model: SimulatedModel) -> None:
    """A shard is done and damaged while others are under way; then the last block, which waits for all, comes to read it."""
    project.write("flow.yaml", FLOW)
    expected = run(project, model, storage=project.folder / "elsewhere")
    paid = model.stats()["completions"]
    project.seeds(seeds(project))
    model.change(latency=0.3)
    started = project.start(model.url, "--shard-size", "2", "--concurrency", "1", "--allow-rejects")
    started.wait_for(lambda: bool(answered(project)), "the first shard with answers")
    damaged = answered(project)[0]
    flip(damaged)
    assert model.stats()["completions"] < 2 * paid
    ran = started.wait()
    assert ran.code == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert project.output() == expected
    assert model.stats()["completions"] == 2 * paid
    (line,) = ran.report["warnings"]
    assert str(damaged.relative_to(project.store)) in line
    assert [block["rows_in"] for block in ran.report["blocks"]] == [6, 6, 5, 5]
    assert ran.report["llm_calls"] == paid


def answered(project: Project) -> list[Path]:
    """Return the Arrow files of the shards that have answers."""
    root = Root.at(project.store)
    records = [read_record(root, str(path.parent.relative_to(project.store))) for path in project.store.rglob(RECORD)]
    parts = [part for record in records if record is not None for part in record.parts if "answer" in part.columns]
    return [Path(root.path(part.uri, part.file.name)) for part in parts if part.file is not None]


def test_two_runs_at_once_whose_replies_differ_keep_their_own_data(project: Project) -> None:
    """Each asks another model, which answers otherwise."""
    project.write("flow.yaml", FLOW)
    project.seeds(seeds(project))
    with (
        SimulatedModel(SimulatorSettings(seed=1, latency=0.02)) as one,
        SimulatedModel(SimulatorSettings(seed=2, latency=0.02)) as other,
    ):
        words = ("--shard-size", "1", "--allow-rejects")
        runs = [project.start(model.url, *words, "--output", f"{n}.jsonl") for n, model in enumerate((one, other))]
        for started in runs:
            ran = started.wait()
            assert ran.code == 0, ran.stderr
            assert ran.report["warnings"] == []
    assert [len(project.output(f"{number}.jsonl")) for number in range(2)] == [5, 5]
    root = Root.at(project.store)
    for path in files(project, "checkpoints", RECORD):
        made = read_record(root, str(path.parent.relative_to(project.store)))
        assert made is not None
        read = [read_shard(root, part) for part in made.parts]
        assert sum(table.num_rows for table in read) == made.counts.rows_out
        assert len(read_rejects(root, made)) == made.counts.rejected
    assert not (project.store / "damaged").exists()


@pytest.mark.parametrize(
    ("name", "damaged_content"),
    [
        pytest.param(".arrow", flipped, id="flipped data"),
        pytest.param(RECORD, lambda content: content[:-1], id="cut records", marks=pytest.mark.long),
    ],
)
def test_damaged_objects_on_s3_are_made_again(
    project: Project, model: SimulatedModel, bucket: str, name: str, damaged_content: Callable[[bytes], bytes]
) -> None:
    client, store = another_client(), f"{bucket}/sdg"
    project.write("flow.yaml", FLOW)
    rows = run(project, model, storage=f"s3://{store}")
    paid = model.stats()["completions"]
    damaged = [path for path in client.find(f"{store}/checkpoints") if path.endswith(name)]
    for path in damaged:
        client.pipe_file(path, damaged_content(client.cat_file(path)))
    assert run(project, model, storage=f"s3://{store}") == rows
    assert model.stats()["completions"] == paid
    # What only differs in its content shows when it is read: here each block finds the rows of the one before damaged in turn.
    said = warnings_on(client, store)
    assert len(said) == len({path.rpartition("/")[0] for path in damaged})
    assert all(f"s3://{store}/checkpoints/" in line and name in line for line in said)
    aside = [path.rpartition("/")[2] for path in client.find(f"{store}/damaged")]
    assert len([path for path in aside if path.endswith(name)]) == len(damaged)
    assert run(project, model, storage=f"s3://{store}") == rows
    assert warnings_on(client, store) == []


def warnings_on(client: s3fs.S3FileSystem, store: str) -> list[str]:
    """Return the warnings of the latest run of a store on S3."""
    *_, latest = sorted(path for path in client.find(f"{store}/runs") if path.endswith("report.json"))
    said: list[str] = json.loads(client.cat_file(latest))["warnings"]
    return said
