"""``--runner``: what is understood, and what is refused before anything is run."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.runners import choice
from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.errors import FlowError
from tests.flows import copy


@pytest.fixture
def everything_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no answer depend on the extras that this environment has."""
    monkeypatch.setattr(choice, "find_spec", lambda _: importlib.util.find_spec("sdg_prefect"))


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize(
    ("text", "chosen", "host"),
    [
        (None, Choice(), ""),
        ("local", Choice("local"), ""),
        ("dask", Choice("dask"), ""),
        (" dask=4", Choice("dask", 4), ""),
        ("dask=tcp://10.0.0.5:8786", Choice("dask", address="tcp://10.0.0.5:8786"), "10.0.0.5"),
        ("dask=tls://scheduler.example:8786", Choice("dask", address="tls://scheduler.example:8786"), "scheduler.example"),
        ("dask=scheduler:8786", Choice("dask", address="scheduler:8786"), "scheduler"),
        ("dask=tcp://[fd00::1]:8786", Choice("dask", address="tcp://[fd00::1]:8786"), "fd00::1"),
        ("ray=2", Choice("ray", 2), ""),
        ("ray=auto", Choice("ray", address="auto"), ""),
        ("ray=ray://head:10001", Choice("ray", address="ray://head:10001"), "head"),
    ],
)
def test_a_runner_is_a_kind_with_workers_here_or_a_cluster_elsewhere(text: str | None, chosen: Choice, host: str) -> None:
    assert Choice.of(text) == chosen
    assert chosen.host == host


@pytest.mark.usefixtures("everything_installed")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dsak", "there is no runner 'dsak'. Did you mean 'dask'?"),
        ("spark=4", "there is no runner 'spark'."),
        ("tcp://10.0.0.5:8786", "dask=tcp://HOST:PORT"),
        ("local=4", "'4' is neither a number of workers nor the address of a cluster."),
        ("dask=0", "'0' is neither"),
        ("dask=", "'' is neither"),
        ("dask=-1", "'-1' is neither"),
        ("dask=tcp://10.0.0.5", "'tcp://10.0.0.5' is neither"),
        ("dask=tcp://10.0.0.5:99999", "'tcp://10.0.0.5:99999' is neither"),
        ("dask=ray://head:10001", "dask has no addresses that begin with 'ray://'"),
        ("ray=tcp://head:10001", "ray has no addresses that begin with 'tcp://'"),
    ],
)
def test_what_is_no_runner_is_refused_with_what_there_is(text: str, said: str) -> None:
    with pytest.raises(FlowError) as refused:
        Choice.of(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_runner_whose_packages_are_missing_says_what_to_install(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(choice, "find_spec", lambda _: None)
    flow = tmp_path / "flow.yaml"
    flow.write_text(copy("a", "b"))
    with pytest.raises(FlowError, match=rf"Run: pip install 'sdg_prefect\[{kind}\]'"):
        prepare(RunOptions(flow=flow, runner=kind))
