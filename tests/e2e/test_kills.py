"""Runs that are killed outright, again and again: nothing that was kept is paid for twice, and no row is lost."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.commands import Ran
from tests.e2e.conftest import Project
from tests.e2e.faulty_s3 import FaultyS3
from tests.e2e.killing import MODEL, PHASES, SLOW_MODEL, Kill, Place, Round, problems, run_round, table

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("phases", [("first block", "writing"), pytest.param(PHASES[1:], marks=pytest.mark.long)])
def test_a_run_that_is_killed_in_every_phase_pays_again_only_for_what_was_in_flight(
    project: Project, phases: Sequence[str]
) -> None:
    with SimulatedModel(MODEL) as model:
        place = Place.make(project.folder, model)
        one = run_round(place, "local", random.Random(5), iter(phases))
    assert problems([one]) == [], table([one])
    assert len(one.kills) >= len(phases) - 1


@pytest.mark.long
def test_on_s3_a_kill_costs_what_was_in_flight_or_waited_for_its_object(project: Project) -> None:
    with FaultyS3() as s3, SimulatedModel(SLOW_MODEL) as model:
        place = Place.make(project.folder, model, s3)
        one = run_round(place, "s3", random.Random(6), iter(("first block", "second block", "writing")))
    assert problems([one]) == [], table([one])
    assert len(one.kills) >= 2


def test_the_count_of_kills_tells_what_was_paid_twice_or_lost() -> None:
    last = Ran(0, "", "")
    killed = Kill("barrier", answered=9, kept=4, in_flight=5, in_window=0)
    assert problems([Round((killed,), needed=50, made=55, last=last, differences=())]) == []
    assert problems([Round((killed,), needed=50, made=56, last=last, differences=())]) == [
        "round 1: 56 completions made, 50 needed and 5 lost at kills"
    ]
    dear = Kill("barrier", answered=9, kept=0, in_flight=5, in_window=0)
    assert problems([Round((dear,), needed=50, made=59, last=last, differences=("the rows are others",))]) == [
        "round 1: the rows are others",
        "round 1, barrier: 9 lost, 6 allowed",
    ]
