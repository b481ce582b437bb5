"""What a run shows as it goes."""

from __future__ import annotations

import re

import pytest

from sdg_prefect.cli import progress
from sdg_prefect.cli.progress import Lines
from sdg_prefect.counts import Counts


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Return what says a line whenever something happens."""
    monkeypatch.setattr(progress, "_LINE_EVERY", 0.0)
    return Lines()


def test_a_line_tells_what_was_paid_and_what_will_be(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    lines.begin("small", ["ask", "reply"], 40)
    call = {"llm_calls": 1, "tokens_in": 10, "tokens_out": 5, "cost_usd": 0.25}
    for block in ("ask", "reply"):
        lines.shard_started(block, 10)
        for _ in range(10):
            lines.call_done(block, call)
        said = capsys.readouterr().err.splitlines()[-1]
        assert "about" not in said
        lines.shard_done(block, Counts(rows_in=10, rows_out=10, llm_calls=10, cost_usd=2.5), replayed=False)
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(
        r"ask 10 of 40 rows, 10 calls, \S+ a second; reply 10 of 40 rows, .*; \$5\.0000 of about \$20\.0000; about \d+ s left$",
        said,
    )


def test_what_the_ledger_answers_is_no_pace_of_the_model(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    lines.begin("small", ["ask"], 400)
    lines.shard_started("ask", 400)
    for _ in range(300):
        lines.call_done("ask", {"replayed": 1})
    lines.say("look")
    lines.call_done("ask", {"llm_calls": 1})
    lines.call_done("ask", {})
    said = capsys.readouterr().err.splitlines()
    assert re.search(r"300 calls, 0 paid, 0\.0 a second$", said[-4])
    assert re.search(r"302 calls, 1 paid, \S+ a second$", said[-1])


def test_a_run_whose_calls_cost_nothing_says_nothing_of_money(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    lines.begin("small", ["ask"], 2)
    lines.shard_started("ask", 2)
    lines.call_done("ask", {"llm_calls": 1})
    assert "$" not in capsys.readouterr().err
