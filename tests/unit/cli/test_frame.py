"""What a terminal shows of a run: it fits, whatever the terminal and the run, and leaves nothing behind."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from sdg_prefect.cli.frame import Rates, frame
from sdg_prefect.cli.progress import Lines, Screen, watch
from sdg_prefect.counts import Counts
from sdg_prefect.report.counting import BlockProgress, Standing
from sdg_prefect.report.forecast import Forecast, Range, Sample
from sdg_prefect.report.problems import Problems, Trouble
from sdg_prefect.report.run_report import BlockTally, RunReport

CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def block(name: str, rows_in: int, expected: float = 1000, calls: int = 0, **changed: object) -> BlockProgress:
    """Return how far a block is."""
    counts = Counts(rows_in=rows_in, rejected=rows_in // 100, filtered=rows_in // 50)
    made = BlockProgress(
        gave=Sample().plus(rows_in, rows_in), calls=calls, paid=calls, name=name, rows=rows_in, counts=counts, expected=expected
    )
    made.started = 0.0 if rows_in else None
    made.flying, made.usd = calls // 20, calls / 9_000
    for key, value in changed.items():
        setattr(made, key, value)
    return made


def standing(blocks: Sequence[BlockProgress], seconds: float = 100.0, end: Forecast | None = None) -> Standing:
    """Return how far a run is."""
    calls, usd = sum(one.calls for one in blocks), sum(one.usd for one in blocks)
    end = end or Forecast(Range.exactly(5000), Range.exactly(4 * usd))
    return Standing("qa", 1000, seconds, blocks, calls, end.calls, usd, end.usd)


BLOCKS = [
    block("write_questions", 600, calls=1203),
    block("keep", 570),
    block("answer", 420, calls=423),
    block("once", 0),
    block("a_block_with_a_name_that_is_longer_than_any_column_has_room_for", 0),
]
TROUBLES = [
    Trouble("answer", "Timeout", "no reply within 120 s", calls=3, rows=2),
    Trouble("write_questions", "NothingParsed", rows=1),
    Trouble("answer", "BadRequest", "a long text " * 40, calls=10),
]


def drawn(
    width: int,
    height: int = 30,
    blocks: Sequence[BlockProgress] = BLOCKS,
    troubles: Sequence[Trouble] = TROUBLES,
    end: Forecast | None = None,
) -> list[str]:
    """Draw a run, and return the lines."""
    rates = Rates()
    for seconds, part in ((90.0, 0.9), (100.0, 1.0)):
        rates.note(standing([block(one.name, int(one.rows_in * part), calls=int(one.calls * part)) for one in blocks], seconds))
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system=None)
    console.print(frame(standing(blocks, end=end), rates, troubles, width, height))
    return CONTROLS.sub("", out.getvalue()).rstrip("\n").split("\n")


def test_a_wide_terminal_shows_all_figures() -> None:
    lines = drawn(120)
    head = next(line for line in lines if line.startswith("block"))
    assert head.split() == ["block", "rows", "left", "out", "rejected", "calls", "rate", "in", "flight", "cost", "left"]
    asked = next(line for line in lines if line.startswith("write_questions"))
    assert re.search(r"600/1,000 +12 +6 +1,203 +12\.1/s +60 +\$0\.1337 +67 s", asked), asked
    assert " rows/s" in next(line for line in lines if line.startswith("keep"))
    assert "32% · 2 min · about 3 min left · 81 in flight · $0.1807 of about $0.7227" in lines[0]
    assert "! answer  Timeout: 2 rows rejected, 3 calls failed  no reply within 120 s" in lines


def test_what_is_not_known_well_is_told_as_a_range() -> None:
    head = drawn(140, end=Forecast(Range(3252, 4878, 8130), Range(0.5, 0.72, 1.1)))[0]
    assert "· 2 to 7 min left ·" in head
    assert head.rstrip().endswith("$0.1807 of $0.5000 to $1.1000")


@pytest.mark.parametrize("width", [30, 40, 50, 60, 72, 80, 100, 120, 200])
def test_it_fits_every_terminal(width: int) -> None:
    for height in (8, 14, 30):
        lines = drawn(width, height)
        assert max(map(len, lines)) <= width
        assert len(lines) <= max(height, 12)
        if width >= 40:
            assert any(line.startswith("keep ") for line in lines)
            assert any("rejected" in line for line in lines)
            assert any("600/1,000" in line for line in lines)


def test_of_more_blocks_than_lines_those_at_work_are_shown() -> None:
    many = [block(f"step_{place:02}", 1000 if place < 30 else 5, calls=9) for place in range(60)]
    lines = drawn(100, 20, many, [])
    assert len(lines) <= 20
    assert any(line.startswith("step_30") for line in lines)
    assert not any(line.startswith("step_00") for line in lines)
    assert lines[-1].split()[1] == "more"


def test_a_run_that_has_just_begun_says_nothing_that_it_cannot_know() -> None:
    lines = drawn(100, blocks=[block("ask", 0, 0), block("keep", 0, 0)], troubles=[])
    assert not any(word in " ".join(lines) for word in ("left", "$", "in flight", "!"))


def test_names_and_messages_are_plain() -> None:
    text = "\x1b[2J\x1b]0;x\x07[bold]\u202e\n"
    lines = drawn(120, blocks=[block(text, 5, calls=3)], troubles=[Trouble(text, text, text, 1)])
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", "".join(lines))
    assert any("[bold]" in line for line in lines)


def test_equal_failures_are_one_line_and_the_latest_comes_first() -> None:
    problems = Problems()
    assert problems.note("ask", "Timeout", "one")
    assert problems.note("ask", "BadRequest", "two")
    assert not problems.note("ask", "Timeout", "three")
    problems.note("ask", "Timeout", rows=4)
    first, second = problems.latest(9)
    assert (first.kind, first.said, first.calls, first.rows) == ("Timeout", "three", 2, 4)
    assert second.kind == "BadRequest"


def test_a_screen_leaves_the_cursor_and_no_table_behind() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=True, width=80, color_system="standard", highlight=False))
    screen.begin("qa", ["ask"], 10)
    screen.shard_started("ask", 10)
    screen.say("something \x1b[31mhappened")
    screen.close()
    shown = out.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    assert "something \\x1b[31mhappened" in shown
    assert shown.endswith("\x1b[2K")
    screen.close()


@pytest.mark.parametrize(
    ("width", "head"), [(100, ["tokens in", "tokens out", "seconds"]), (40, ["rows in", "rows out", "calls"])]
)
def test_the_table_at_the_end_leaves_out_what_does_not_fit_and_cuts_nothing(width: int, head: list[str]) -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=width, highlight=False))
    counts = Counts(rows_in=100_000, rows_out=99_990, llm_calls=100_000, tokens_in=12_345_678, tokens_out=9_876_543)
    screen.end(
        RunReport("completed", "20260101-000000-abcdef", "qa", 9, 9, [BlockTally("ask", counts, 2.0)], 2.0, "out", "store")
    )
    titles, row = out.getvalue().splitlines()[:2]
    assert "…" not in titles + row
    assert re.split(r"\s{2,}", titles.strip())[-len(head) :] == head
    assert "99,990" in row


class Terminal(io.StringIO):
    """What is written to it is on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "has_colours"), [({"TERM": "xterm-256color"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_a_terminal_that_wants_no_colours_gets_none(
    variables: dict[str, str], has_colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with watch() as watcher:
        assert isinstance(watcher, Screen)
        watcher.begin("qa", ["ask"], 10)
    assert isinstance(sys.stderr, io.StringIO)
    shown = sys.stderr.getvalue()
    assert ("\x1b[90m" in shown) == has_colours


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_anew_gets_lines(terminal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", terminal)
    with watch() as watcher:
        assert isinstance(watcher, Lines)


def test_plain_lines_are_for_logs_and_for_who_wants_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watch() as watcher:
        assert isinstance(watcher, Lines)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with watch(is_plain=True) as watcher:
        assert isinstance(watcher, Lines)
        watcher.begin("qa", ["ask"], 3)
        for _ in range(9):
            watcher.problem("ask", "Timeout", "the prompt was: secret")
    said = capsys.readouterr().err
    assert said.count("Timeout") == 1
    assert "secret" not in said
