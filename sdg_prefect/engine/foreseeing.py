"""The look ahead where rows part: which lanes they will take, as far as that does not depend on replies to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from math import fsum
from typing import TYPE_CHECKING

from sdg_prefect.blocks.conditions import settled_verdict
from sdg_prefect.blocks.lanes import Split
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.outlook import StepOutlook
from sdg_prefect.engine.piece import Piece
from sdg_prefect.engine.rates import Sample, lanes_before, rate, rounds_before
from sdg_prefect.engine.rehearsal import rehearse
from sdg_prefect.plan.plan import Fork, Repeat, Step

if TYPE_CHECKING:
    from sdg_prefect.engine.looking import Look

Lanes = list[list[Piece]]


def fork(look: Look, plan: Fork, pieces: Sequence[Piece]) -> list[Piece]:
    """Look at branches."""
    lanes = _split(look, plan.split, _at_home(pieces), lanes_before(look.history, plan))
    gone = [look.pipeline(branch, _with_rows(lane)) for branch, lane in zip(plan.branches, lanes, strict=False)]
    return _join(look, plan.join, [*gone, lanes[-1]], pieces)


def repeat(look: Look, plan: Repeat, pieces: Sequence[Piece]) -> list[Piece]:
    """Look at rounds. Once the rows depend on replies to come, all later ones count as possible."""
    steps, before = look.outlook.steps, rounds_before(look.history, plan)
    first = look.pipeline(plan.body, list(pieces))
    going, ways = _at_home(first), list[list[Piece]]()
    for number in range(1, plan.most):
        lanes = _split(look, plan.split, going, before)
        ways.append(lanes[1])
        if not (given := _with_rows(lanes[0])):
            return _join(look, plan.join, ways, first)
        begun = len(steps)
        going = look.pipeline(plan.body, [piece.in_round(number) for piece in given])
        steps[begun:] = [_in_round(step, number + 1) for step in steps[begun:]]
    if plan.unmet is not None:
        going = look.step(plan.unmet, going)
    return _join(look, plan.join, [*ways, going], first)


def _in_round(step: StepOutlook, number: int) -> StepOutlook:
    return replace(step, name=f"{step.name}, round {number}")


def _at_home(pieces: Sequence[Piece]) -> list[Piece]:
    return [replace(piece, home=place) for place, piece in enumerate(pieces)]


def _with_rows(pieces: Sequence[Piece]) -> list[Piece]:
    return [piece for piece in pieces if piece.rows.high != 0]


def _split(look: Look, step: Step, pieces: Sequence[Piece], before: Sequence[Sample]) -> Lanes:
    groups = [list(pieces)] if step.scope == "all" else [[piece] for piece in pieces]
    parted = [_parted(look, step, group, before) for group in groups]
    return [[piece for lanes in parted for piece in lanes[lane]] for lane in range(len(parted[0]))]


def _parted(look: Look, step: Step, group: list[Piece], before: Sequence[Sample]) -> Lanes:
    """Part one group of rows. Those that depend on replies to come may all go one way, or none."""
    assert isinstance(step.block, Split)
    home, table = group[0].home, look.load(group)
    still_open = sum((piece.open_rows for piece in group), Guess())
    done = rehearse(step, table, "", look.plan.endpoints, None) if table is not None else None
    if done is not None and still_open.high == 0:
        return [[replace(piece, home=home) for piece in look.cut(step, part)] for part in done.parts]
    every = still_open if done is not None else sum((piece.rows for piece in group), Guess())
    shares = lane_shares(step.block.conditions, [part.num_rows for part in done.parts] if done is not None else [], before, every)
    known = [done.parts[lane] if done is not None else None for lane in range(len(shares))]
    return [[Piece(None, part, every.times(share), home)] for part, share in zip(known, shares, strict=True)]


def lane_shares(conditions: Sequence[str], seen: Sequence[int], before: Sequence[Sample], count: Guess) -> list[Guess]:
    """Guess which share of rows goes into each lane; the last lane is that of rows for which no condition holds."""
    settled = [settled_verdict(condition) for condition in conditions]
    ends = settled.index(True) if True in settled else len(conditions)
    possible = [
        lane for lane in range(len(conditions) + 1) if lane <= ends and (lane == len(conditions) or settled[lane] is not False)
    ]
    shares = []
    for lane in range(len(conditions) + 1):
        if lane not in possible:
            shares.append(Guess())
        elif len(possible) == 1:
            shares.append(Guess.exactly(1))
        else:
            samples = [Sample(sum(seen), seen[lane])] if seen else []
            samples += before[lane : lane + 1]
            shares.append(rate(samples, Guess(0, 1 / len(possible), 1), count))
    return shares


def _join(look: Look, step: Step, ways: Sequence[Sequence[Piece]], before: Sequence[Piece]) -> list[Piece]:
    """Bring the rows of all ways together. All of them may have gone the way on which most come out, but none went two ways."""
    pieces, made = [*chain(*ways)], list[Piece]()
    highest = [sum((piece.open_rows for piece in way), Guess()).high for way in ways]
    bounds = [high for high in highest if high is not None]
    together = fsum(bounds)
    fold = max(bounds) / together if len(bounds) == len(highest) and together else 1.0
    for home in [0] if step.scope == "all" else range(len(before)):
        group = [piece for piece in pieces if step.scope == "all" or piece.home == home]
        table = look.load(group)
        still_open = sum((piece.open_rows for piece in group), Guess())
        done = rehearse(step, table, "", look.plan.endpoints, None) if table is not None else None
        if done is not None and still_open.high == 0:
            joined = look.cut(step, done.parts[0])
        else:
            whole = still_open if done is not None else sum((piece.rows for piece in group), Guess())
            joined = [Piece(None, done.parts[0] if done is not None else None, whole.at_most(fold))]
        made += [replace(piece, home=before[home].home) for piece in joined]
    return made
