"""A run over time, in a bounded number of moments."""

from __future__ import annotations

from sdg_prefect.report.timeline import Moment, Timeline


def test_a_long_run_has_no_more_moments_than_a_chart_has_room_for_and_keeps_its_peaks() -> None:
    timeline = Timeline(1.0)
    seconds = 0.0
    for number in range(10_000):
        timeline.add(Moment(999 if number == 4321 else 3, number, number))
        seconds += timeline.every
    assert len(timeline.moments) <= 240
    assert max(moment.in_flight for moment in timeline.moments) == 999
    assert timeline.moments[-1].answers > 9_000
    assert abs(timeline.every * len(timeline.moments) - seconds) <= 2 * timeline.every


def test_a_timeline_is_read_back_as_it_was() -> None:
    timeline = Timeline(0.5, [Moment(1, 2, 3), Moment(4, 5, 6)])
    assert Timeline.from_json(timeline.to_json()) == timeline
