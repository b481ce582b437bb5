"""Compares the blocks of the dialect of sdg_hub 0.9 and each of their keys with sdg_hub 0.9.4: for many small flows, its rows and ours.

    python3.11 -m venv /tmp/oracle09 && /tmp/oracle09/bin/pip install 'sdg-hub[code]==0.9.4' pydantic-monty==0.0.10
    .venv/bin/python -m tests.oracle.dialect /tmp/oracle09/bin/python                  # some minutes
    .venv/bin/python -m tests.oracle.dialect /tmp/oracle09/bin/python TagParserBlock   # only tables with this in their blocks

The cases are the combinations of the tables in ``dialect/``. Each runs on both sides against a small server that plays models and
agents and remembers what it was asked; rows have to be equal, and so has what was asked. Where sdg_hub stops, rows may be rejected or
the flow refused here. Where a table names a reason for another difference, it has to be there, and the reason has to be a line of
docs/from-sdg-hub-0.9.md. Exits 1 otherwise.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.previewing import preview
from sdg_prefect.engine.start import read_seeds_of
from sdg_prefect.errors import SdgError
from sdg_prefect.rows import without_ids
from tests.oracle.playing import Player, play
from tests.oracle.tables import Case, read_cases

UPSTREAM = Path(__file__).parent / "upstream_09.py"


@dataclass
class Outcome:
    """What came of a case on one side."""

    rows: list[dict[str, Any]] | None = None
    """None where it stopped."""
    error: str = ""
    rejects: int = 0
    asked: list[Any] = field(default_factory=list)


class Upstream:
    """sdg_hub in a process of its own, which runs one case after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, case: Case, flow: Path, server: str) -> Outcome:
        """Run a case."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {
            "flow": str(flow),
            "seeds": case.seeds,
            "api_base": f"{server}/v1",
            "set": dict(case.set),
            "dry_run": case.dry_run,
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def upstream(python: str) -> Iterator[Upstream]:
    """Start sdg_hub."""
    command = [python, str(UPSTREAM)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Upstream(process)
        finally:
            process.terminate()


def ours(case: Case, flow: Path, server: str, folder: Path) -> Outcome:
    """Run a case here, without Prefect."""
    seeds = folder / "seeds.jsonl"
    seeds.write_text("".join(json.dumps(seed, ensure_ascii=False) + "\n" for seed in case.seeds), "utf-8")
    fields = [(block, key, value) for block, values in case.set.items() for key, value in values.items()]
    options = RunOptions(
        flow=str(flow),
        input=str(seeds),
        storage=str(folder / "store"),
        limit=case.dry_run or None,
        overrides=tuple(f"{block}.{key}={json.dumps(value)}" for block, key, value in fields),
        **({} if _places_its_models(case) else {"model": "stub", "api_base": f"{server}/v1"}),
    )
    try:
        prepared = prepare(options)
        made = preview(prepared.plan, options, read_seeds_of(options, prepared.spec), "20260101-000000-aaaaaa")
    except SdgError as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    rejects = sum(len(step.rejects) for step in made.steps)
    return Outcome(rows=without_ids(made.table).to_pylist(), rejects=rejects)


def _places_its_models(case: Case) -> bool:
    return "api_base" in json.dumps(case.flow["blocks"])


def compare(here: Outcome, there: Outcome, case: Case) -> str:
    """Say how the outcomes differ; empty where they do not, or where one side stops as it may."""
    if here.rows is None:
        return "" if there.rows is None else "refused here"
    if there.rows is None:
        return "" if here.rejects else "stops there"
    if _plain(here.rows, case) != _plain(there.rows, case):
        return "other rows"
    return "" if here.asked == there.asked or here.rejects else "asked otherwise"


def _plain(value: Any, case: Case) -> Any:
    """Bring values into a form in which equal ones are equal: objects without nulls, numbers whatever their type."""
    if isinstance(value, dict):
        given = {key: _read(part) if key in case.json else part for key, part in value.items() if key not in case.ignores}
        return {key: _plain(part, case) for key, part in given.items() if part is not None}
    if isinstance(value, list):
        parts = [_plain(part, case) for part in value]
        is_of_rows = bool(value) and isinstance(value[0], dict) and "id" in value[0]
        return sorted(parts, key=repr) if case.in_any_order and not is_of_rows else parts
    if isinstance(value, float):
        return None if value != value else int(value) if value.is_integer() else value
    return ("true" if value else "false",) if isinstance(value, bool) else value


def _read(value: Any) -> Any:
    """Read what is JSON on one side only."""
    with contextlib.suppress(TypeError, ValueError):
        return json.loads(value)
    return value


def run_case(case: Case, there: Upstream, player: Player) -> tuple[Outcome, Outcome]:
    """Run a case on both sides, each with an address of its own, and return what came of it here and there."""
    with tempfile.TemporaryDirectory() as name:
        folder, outcomes = Path(name), []
        for side in ("here", "there"):
            server = player.begin(case.said)
            flow = case.write(folder / side, server, player.tools.url)
            outcome = ours(case, flow, server, folder) if side == "here" else there.run(case, flow, server)
            outcome.asked = player.asked
            outcomes.append(outcome)
    return outcomes[0], outcomes[1]


def report(python: str, wanted: str) -> bool:
    """Print what differs and a line for each table, and return whether all is as it should be."""
    counts: Counter[tuple[str, str]] = Counter()
    unused: dict[tuple[str, int, str], bool] = {}
    is_sound = True
    with upstream(python) as there, play() as player:
        for case in read_cases(wanted):
            here, other = run_case(case, there, player)
            found = compare(here, other, case)
            counts[case.table, _kind(here, other, found, case)] += 1
            if case.differs:
                place = case.table, case.row, case.differs
                unused[place] = unused.get(place, True) and not found
            elif found:
                is_sound = False
                print(f"{case.name}: {found}")
                print("\n".join(_both(here, other, found, case)), flush=True)
    for table, row, reason in (place for place, is_unused in unused.items() if is_unused):
        is_sound = False
        print(f"{table}[{row}]: nothing differs for the reason '{reason}'")
    for table in dict.fromkeys(table for table, _ in counts):
        said = ", ".join(f"{number} {kind}" for (one, kind), number in sorted(counts.items()) if one == table)
        print(f"{table}: {said}")
    print(f"{sum(counts.values())} cases")
    return is_sound


def _both(here: Outcome, there: Outcome, found: str, case: Case) -> Iterator[str]:
    """Show the first thing that is another one on the two sides."""
    which = "asked" if found == "asked otherwise" else "rows"
    both = [getattr(side, which) or [] for side in (here, there)]
    pairs = zip_longest(*([_plain(one, case) for one in all_of] for all_of in both))
    first = next(((one, other) for one, other in pairs if one != other), (None, None))
    for name, side, one in zip(("here", "there"), (here, there), first, strict=True):
        rejected = f", {side.rejects} rejected" if side.rejects else ""
        yield f"    {name}: {side.error.splitlines()[0] if side.error else json.dumps(one, ensure_ascii=False)}{rejected}"[:1000]


def _kind(here: Outcome, there: Outcome, found: str, case: Case) -> str:
    if found:
        return "differ as documented" if case.differs else "DIFFER"
    if there.rows is None:
        return "stop there and are refused here" if here.rows is None else "stop there and reject rows here"
    return "the same"


if __name__ == "__main__":
    sys.exit(0 if report(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "") else 1)
