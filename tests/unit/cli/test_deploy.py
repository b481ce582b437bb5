"""What ``deploy`` makes of a flow and its options, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sdg_prefect.engine.deploying import Wanted, entry_of
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.errors import FlowError
from tests.flows import ASK, PROMPT

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Told

DEPLOY = ("deploy", "flow.yaml", "--pool", "p", "--input", "seeds.jsonl", "--output", "out.jsonl", "--model", "simulated/teacher")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("flow.yaml").write_text(ASK)
    Path("ask.yaml").write_text(PROMPT)
    Path("seeds.jsonl").write_text('{"document": "Cork floats."}\n')
    return tmp_path


def test_a_deployment_is_written_beside_others_and_their_comments(told: Told, folder: Path) -> None:
    file = folder / "prefect.yaml"
    file.write_text("# ours\nname: x\ndeployments:\n  - name: old  # keep\n    entrypoint: a.b\n")
    words = (*DEPLOY, "--name", "new", "--cron", "0 3 * * *", "--timezone", "Europe/Berlin", "--write", "prefect.yaml")
    code, out, err = told(*words, "--budget", "3", "--set", "ask.gen_kwargs.temperature=0.5")
    assert (code, out) == (0, "prefect.yaml: 'new' added.\n")
    assert "prefect --no-prompt deploy --prefect-file prefect.yaml --name new" in err
    assert file.read_text().startswith("# ours\nname: x\ndeployments:\n  - name: old  # keep\n    entrypoint: a.b\n")
    assert yaml.safe_load(file.read_text())["deployments"][1] == {
        "name": "new",
        "tags": [folder.name],
        "entrypoint": "sdg_prefect.engine.deployable.run_flow_file",
        "schedules": [{"cron": "0 3 * * *", "timezone": "Europe/Berlin"}],
        "concurrency_limit": {"limit": 1, "collision_strategy": "ENQUEUE"},
        "work_pool": {
            "name": "p",
            "job_variables": {"env": {"HF_DATASETS_DISABLE_PROGRESS_BARS": "1", "PREFECT_LOGGING_EXTRA_LOGGERS": "sdg_prefect"}},
        },
        "parameters": {
            "flow": "flow.yaml",
            "input": "seeds.jsonl",
            "output": "out.jsonl",
            "model": "simulated/teacher",
            "budget": 3.0,
            "overrides": ["ask.gen_kwargs.temperature=0.5"],
            "timezone": "Europe/Berlin",
        },
    }
    assert told(*words[:-4], "--write", "prefect.yaml")[1] == "prefect.yaml: 'new' changed.\n"
    assert [one["name"] for one in yaml.safe_load(file.read_text())["deployments"]] == ["old", "new"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--cron", "at night"), "--cron 'at night' is not a schedule: "),
        (("--rrule", "often"), "--rrule 'often' is not a schedule: "),
        (("--interval", "often"), "--interval takes a time such as 30d or 12h, not 'often'."),
        (("--rrule", "FREQ=NEVER"), "is not a schedule: Invalid RRule string"),
        (("--interval", "0s"), "--interval 0s: a run cannot begin again after no time."),
        (("--cron", ""), "--cron is empty. Leave it away for a deployment that is started by hand."),
        (("--name", "a/b"), "--name 'a/b': Prefect takes no such name. Write one such as 'a-b'."),
        (("--cron", "0 3 * * *", "--interval", "1h"), "a deployment has one schedule, and these are 2."),
        (("--cron", "0 3 * * *", "--timezone", "Mars/Base"), "there is no time zone 'Mars/Base'."),
        (("--env", "OPENAI_API_KEY=sk-1"), "--env OPENAI_API_KEY: a key must not stand in a deployment."),
        (("--env", "lang"), "--env 'lang' is not of the form NAME=VALUE."),
        (("--job-variable", "=4Gi"), "--job-variable '=4Gi' is not of the form NAME=VALUE."),
        (("--job-variable", "password=x"), "--job-variable password: a key must not stand in a deployment."),
        (("--env", "A_TOKEN={{ prefect.blocks.secret.a }}"), "prefect deploy would write the value of this block"),
        (("--api-base", "http://me:pw@host/v1"), "--api-base: an address with a key in it must not stand in a deployment."),
        (("--set", "aks.n=2"), "--set: the flow has no block 'aks'. Did you mean 'ask'?"),
        (("--incremental", "--input", "sedes.jsonl"), "there is no such file. Did you mean 'seeds.jsonl'?"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_what_is_wrong_is_told_before_anything_is_written(told: Told, folder: Path, words: tuple[str, ...], line: str) -> None:
    code, _, err = told(*DEPLOY, *words, "--write", "prefect.yaml")
    assert (code, len(err.splitlines())) == (2, 1)
    assert line in err
    assert not (folder / "prefect.yaml").exists()


def test_seeds_and_an_output_have_to_have_a_place(told: Told) -> None:
    _, _, err = told("deploy", "flow.yaml", "--pool", "p", "--model", "simulated/teacher", "--write", "prefect.yaml")
    assert err.splitlines() == [
        "a deployed run needs its seeds. Name it with --input.",
        "a deployed run needs its output. Name it with --output.",
    ]


def test_seeds_of_a_day_need_not_be_there_yet() -> None:
    options = RunOptions(flow="flow.yaml", input="in/{date}/*.jsonl", output="out.jsonl", model="simulated/teacher")
    assert entry_of(options, Wanted("p"))["parameters"]["input"] == "in/{date}/*.jsonl"


def test_what_is_no_file_of_deployments_is_left_alone(told: Told, folder: Path) -> None:
    (folder / "prefect.yaml").write_text("- a list\n")
    code, _, err = told(*DEPLOY, "--write", "prefect.yaml")
    assert (code, err) == (2, "prefect.yaml  is not a file of deployments. Name a new one, such as prefect.yaml.\n")
    assert (folder / "prefect.yaml").read_text() == "- a list\n"


def test_a_container_gets_what_it_is_told_and_what_it_would_lose_is_said(told: Told, folder: Path) -> None:
    words = ("--image", "registry.example.com/sdg:1", "--env", "AWS_ENDPOINT_URL=http://s3:9000", "--write", "prefect.yaml")
    code, _, err = told(*DEPLOY, *words, "--job-variable", "memory_limit=4Gi", "--job-variable", "networks=[a, b]")
    assert code == 0
    assert "warning: the output and the store would be in the container, and go with it." in err
    (entry,) = yaml.safe_load((folder / "prefect.yaml").read_text())["deployments"]
    variables = entry["work_pool"]["job_variables"]
    assert (variables["memory_limit"], variables["networks"], entry["pull"]) == ("4Gi", ["a", "b"], [])
    assert variables["env"]["AWS_ENDPOINT_URL"] == "http://s3:9000"


def test_seeds_and_output_of_a_container_need_not_be_seen_from_here() -> None:
    places = {"input": "s3://docs/{date}/*.jsonl", "output": "s3://rows/qa.parquet", "storage": "s3://rows/store"}
    wanted = Wanted("p", image="registry.example.com/sdg:1")
    entry = entry_of(RunOptions(flow="flow.yaml", model="simulated/teacher", incremental=True, **places), wanted)
    assert places.items() <= entry["parameters"].items()
    with pytest.raises(FlowError, match=r"rows\.doc"):
        entry_of(RunOptions(flow="flow.yaml", model="simulated/teacher", **{**places, "output": "s3://rows/rows.doc"}), wanted)
