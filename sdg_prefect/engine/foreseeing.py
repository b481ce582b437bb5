"""The look ahead where rows part: which lanes they will take, as far as that does not depend on replies to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.outlook import StepOutlook
from sdg_prefect.engine.piece import Piece
from sdg_prefect.engine.rehearsal import rehearse
from sdg_prefect.plan.plan import Fork, Repeat, Step

if TYPE_CHECKING:
    from sdg_prefect.engine.looking import Look

Lanes = list[list[Piece]]


def fork(look: Look, plan: Fork, pieces: Sequence[Piece]) -> list[Piece]:
    """Look at branches."""
    lanes = _split(look, plan.split, _at_home(pieces))
    gone = [look.pipeline(branch, _with_rows(lane)) for branch, lane in zip(plan.branches, lanes, strict=False)]
    return _join(look, plan.join, [*chain(*gone), *lanes[-1]], pieces)


def repeat(look: Look, plan: Repeat, pieces: Sequence[Piece]) -> list[Piece]:
    """Look at rounds. Once the rows depend on replies to come, all later ones count as possible."""
    steps = look.outlook.steps
    first = look.pipeline(plan.body, list(pieces))
    going, done = _at_home(first), list[Piece]()
    for number in range(1, plan.most):
        lanes = _split(look, plan.split, going)
        done += lanes[1]
        if not (given := _with_rows(lanes[0])):
            return _join(look, plan.join, done, first)
        begun = len(steps)
        going = look.pipeline(plan.body, [piece.in_round(number) for piece in given])
        steps[begun:] = [_in_round(step, number + 1) for step in steps[begun:]]
    if plan.unmet is not None:
        going = look.step(plan.unmet, going)
    return _join(look, plan.join, [*done, *going], first)


def _in_round(step: StepOutlook, number: int) -> StepOutlook:
    return replace(step, name=f"{step.name}, round {number}")


def _at_home(pieces: Sequence[Piece]) -> list[Piece]:
    return [replace(piece, home=place) for place, piece in enumerate(pieces)]


def _with_rows(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.rows.high != 0]


def _split(look: Look, step: Step, pieces: Sequence[Piece]) -> Lanes:
    groups = [list(pieces)] if step.scope == "all" else [[piece] for piece in pieces]
    parted = [_parted(look, step, group) for group in groups]
    return [[piece for lanes in parted for piece in lanes[lane]] for lane in range(len(parted[0]))]


def _parted(look: Look, step: Step, group: list[Piece]) -> Lanes:
    """Part one group of rows. Those that depend on replies to come may all go one way, or none."""
    home, lanes = group[0].home, len(step.block.conditions) + 1  # type: ignore[attr-defined]
    table = look.load(group)
    still_open = sum((piece.open_rows for piece in group), Guess())
    done = rehearse(step, table, "", look.plan.endpoints, None) if table is not None else None
    if done is not None and still_open.high == 0:
        return [[replace(piece, home=home) for piece in look.cut(step, part)] for part in done.parts]
    every = still_open if done is not None else sum((piece.rows for piece in group), Guess())
    some = Guess(0, None if every.likely is None else every.likely / lanes, every.high)
    return [[Piece(None, done.parts[lane] if done is not None else None, some, home)] for lane in range(lanes)]


def _join(look: Look, step: Step, pieces: Sequence[Piece], before: Sequence[Piece]) -> list[Piece]:
    made: list[Piece] = []
    for home in [0] if step.scope == "all" else range(len(before)):
        group = [piece for piece in pieces if step.scope == "all" or piece.home == home]
        table = look.load(group)
        still_open = sum((piece.open_rows for piece in group), Guess())
        done = rehearse(step, table, "", look.plan.endpoints, None) if table is not None else None
        if done is not None and still_open.high == 0:
            joined = look.cut(step, done.parts[0])
        else:
            whole = still_open if done is not None else sum((piece.rows for piece in group), Guess())
            joined = [Piece(None, done.parts[0] if done is not None else None, whole)]
        made += [replace(piece, home=before[home].home) for piece in joined]
    return made
