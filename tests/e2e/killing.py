"""Kill runs outright at random moments, again and again, and count what that costs.

On S3 every attempt has a machine of its own, as far as its disk goes: the flow and its seeds are there, and nothing of an attempt
before it. When a run is killed, whatever it had on its disk is gone.

``python -m tests.e2e.killing --kills 50 --storage s3 --seed 7`` does so at length and prints a table.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.commands import wait_for
from tests.e2e.conftest import ASK, REPLY, Project
from tests.e2e.laws import broken_laws

if TYPE_CHECKING:
    from tests.e2e.commands import Ran
    from tests.e2e.faulty_s3 import FaultyS3

FLOW = """\
name: islands
pipelines:
- name: questions
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
    gen_kwargs: {n: 4, temperature: 0.7}
  - block_type: FilterByValueBlock
    block_config: {block_name: inhabited, filter_column: people, filter_value: 3, operation: operator.ge}
  - block_type: DropDuplicates
    block_config: {block_name: once, columns: [question]}
- name: answers
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
"""
SEEDS = 24
CONCURRENCY = 6
PHASES = ("start", "first block", "barrier", "second block", "writing")
MODEL = SimulatorSettings(latency=0.08, latency_jitter=0.04, record=True)
SLOW_MODEL = SimulatorSettings(latency=0.4, latency_jitter=0.1, record=True)
"""For S3: at the pace of the other one, all that a block asks for would still wait for its object."""

LEDGER_SECONDS = 1.0
"""What a kill may cost on S3, where completions wait for their object."""
SLACK_SECONDS = 2.0
"""For writing that object on a machine that is busy."""


def seeds() -> list[dict[str, Any]]:
    """Return seeds, some of them twice: what is made of those is deduplicated."""
    rows = [
        {
            "document": f"Island {place} has {place * 7 + 3} wells. River {place * 11} feeds them. Village {place * 13} lies north.",
            "people": place % 8,
        }
        for place in range(SEEDS - 4)
    ]
    return [*rows, *rows[4:8]]


@dataclass(frozen=True)
class Kill:
    """What was seen at one kill."""

    phase: str
    answered: int
    """Completions that the model made for the run that was killed."""
    kept: int
    """Those of them that are in the ledger."""
    in_flight: int
    """Calls that the model was at when the run was killed."""
    in_window: int
    """Completions made so shortly before that the ledger may not have had them yet."""

    @property
    def lost(self) -> int:
        """Completions that have to be bought again."""
        return self.answered - self.kept

    @property
    def allowed(self) -> int:
        """What a kill may cost: calls in flight as the run counts them, and on S3 what waits for its object."""
        return CONCURRENCY + self.in_window


@dataclass(frozen=True)
class Round:
    """A run that was killed until it ended by itself."""

    kills: tuple[Kill, ...]
    needed: int
    """Completions of a run that nobody disturbs."""
    made: int
    """Completions that the model made in all."""
    last: Ran
    differences: tuple[str, ...]
    """What is not as in a run that nobody disturbs; nothing, if all is well."""

    @property
    def lost(self) -> int:
        """Completions that were made and not kept."""
        return sum(kill.lost for kill in self.kills)


@dataclass
class Place:
    """Where runs are killed: a project, its model, and its store."""

    project: Project
    model: SimulatedModel
    s3: FaultyS3 | None = None
    bucket: str = ""
    expected: bytes = b""
    needed: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, model: SimulatedModel, s3: FaultyS3 | None = None) -> Place:
        """Write the project, and run it once without disturbance."""
        project = furnished(folder)
        place = cls(project, model, s3, s3.new_bucket() if s3 else "", environment=s3.environment if s3 else {})
        place._rehearse()
        return place

    def _rehearse(self) -> None:
        """Find out the rows and the number of calls; the bytes of the output are those of a local file wherever they go."""
        before = self.answered()
        seeds, output = str(self.project.folder / "seeds.jsonl"), self.project.folder / "expected.jsonl"
        elsewhere = self.project.folder / "elsewhere"
        rows = self.project.generate(seeds, self.model.url, storage=elsewhere, output=str(output), shard_size=4)
        self.expected = output.read_bytes()
        self.needed = self.answered() - before
        assert len(self.expected.splitlines()) == len(rows) > SEEDS // 2

    @contextmanager
    def machine(self) -> Iterator[tuple[Project, Mapping[str, str]]]:
        """Give a folder to run in, and the variables of a run there. On S3 it is a new machine's, whose disk is wiped at the end."""
        if self.s3 is None:
            yield self.project, self.environment
            return
        fresh = furnished(self.project.folder / "machine")
        folders = {
            name: str(fresh.folder / name.lower()) for name in ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
        }
        for folder in folders.values():
            Path(folder).mkdir()
        try:
            yield fresh, {**self.environment, **folders}
        finally:
            shutil.rmtree(fresh.folder)

    @staticmethod
    def words(storage: str, output: str) -> list[str]:
        """Return the options of a run."""
        return ["--storage", storage, "--output", output, "--shard-size", "4", "--concurrency", str(CONCURRENCY)]

    def answered(self) -> int:
        """Return how many calls the model has answered."""
        return int(self.model.stats()["by_status"].get("200", 0))

    def where(self, name: str) -> str:
        """Return the address of a store or output in this place."""
        return f"s3://{self.bucket}/{name}" if self.s3 else str(self.project.folder / name)

    def read(self, name: str) -> bytes | None:
        """Read a file in this place; None if it is not there."""
        filesystem = self.s3.client if self.s3 else fsspec.filesystem("file")
        try:
            return bytes(filesystem.cat_file(self.where(name)))
        except FileNotFoundError:
            return None

    def kept(self, store: str) -> list[str]:
        """Return the keys of the whole lines in a ledger."""
        filesystem = self.s3.client if self.s3 else fsspec.filesystem("file")
        paths = [path for path in filesystem.find(self.where(f"{store}/ledger")) if path.endswith(".jsonl")]
        contents = [filesystem.cat_file(path) for path in sorted(paths)]
        lines = [line for content in contents for line in content.split(b"\n")[:-1]]
        return [str(json.loads(line)["key"]) for line in lines]

    def settle(self) -> None:
        """Wait until model and S3 are done with what a killed run has left them with."""
        wait_for(lambda: not self.model.stats()["in_flight"], "the end of all calls")
        if self.s3 is not None:
            s3 = self.s3
            wait_for(lambda: not s3.in_flight, "the end of all requests to S3")


def furnished(folder: Path) -> Project:
    """Return a folder with the flow and its seeds."""
    project = Project(folder)
    project.write("flow.yaml", FLOW)
    project.write("ask.yaml", ASK)
    project.write("reply.yaml", REPLY)
    project.seeds(seeds())
    return project


def run_round(place: Place, name: str, chance: random.Random, phases: Iterator[str] | None = None, most: int = 100) -> Round:
    """Kill a run until it ends by itself.

    Args:
        place: Where.
        name: Tells the stores of rounds apart.
        chance: Chooses the moments.
        phases: Where to kill next, one after another; drawn if not given.
        most: How many kills are enough.
    """
    store, output = f"store-{name}", f"out-{name}.jsonl"
    words = place.words(place.where(store), place.where(output))
    start, kills = place.answered(), list[Kill]()
    differences: list[str] = []
    while True:
        phase = "none" if len(kills) == most else next(phases, "none") if phases else chance.choice(PHASES)
        before, kept = place.answered(), len(set(place.kept(store)))
        with place.machine() as (project, environment):
            run = project.start(place.model.url, *words, **environment)
            if phase == "none" or not _wait(place, run.poll, phase, chance, before, kept):
                last = run.wait()
                break
            at = time.monotonic()
            run.send(signal.SIGKILL)
            run.wait()
            place.settle()
        kills.append(_looked_at(place, store, phase, at, before, kept))
        if place.read(output) not in {None, place.expected}:
            differences.append(f"kill {len(kills)} left half an output")
    differences += _differences(place, store, output, last)
    return Round(tuple(kills), place.needed, place.answered() - start, last, tuple(differences))


def _wait(place: Place, ended: Any, phase: str, chance: random.Random, before: int, kept: int) -> bool:
    """Wait for a random moment in a phase; False if the run ended before."""
    first = max(0, SEEDS - kept)
    rest = max(0, place.needed - kept)
    replies = {
        "start": 0,
        "first block": chance.randint(1, max(1, first - 1)),
        "barrier": first,
        "second block": chance.randint(min(first + 1, rest), max(rest - 1, 1)) if rest else 0,
        "writing": rest,
    }[phase]
    # What is there from earlier runs makes no reply: such phases come some time after the start.
    longest = {"start": 4.0, "barrier": 0.5, "writing": 1.0}.get(phase, 0.05) + (3.0 if phase != "start" and not replies else 0.0)
    wait_for(lambda: place.answered() - before >= replies or ended() is not None, f"reply {replies}")
    until = time.monotonic() + chance.uniform(0, longest)
    while ended() is None and time.monotonic() < until:
        time.sleep(0.005)
    return ended() is None


def _looked_at(place: Place, store: str, phase: str, at: float, before: int, kept: int) -> Kill:
    calls = place.model.journal
    window = LEDGER_SECONDS + SLACK_SECONDS if place.s3 else 0.0
    return Kill(
        phase=phase,
        answered=place.answered() - before,
        kept=len(set(place.kept(store))) - kept,
        in_flight=sum(call.began < at and (call.ended or at) >= at for call in calls),
        in_window=sum(call.status == 200 and at - window < (call.ended or 0.0) < at for call in calls),
    )


def _differences(place: Place, store: str, output: str, last: Ran) -> list[str]:
    """Return what is not as in a run that nobody disturbs."""
    found = []
    if last.code != 0:
        return [f"the last run ended with {last.code}: {last.stderr[-2000:]}"]
    if place.read(output) != place.expected:
        found.append("the rows are others")
    report = last.report
    if report["llm_calls"] + report["llm_replayed"] != place.needed:
        found.append(f"{report['llm_calls']} calls and {report['llm_replayed']} replayed are not {place.needed}")
    keys = place.kept(store)
    if len(set(keys)) != place.needed:
        found.append(f"{len(set(keys))} completions are in the ledger")
    if not place.s3 and (left := sorted(path.name for path in place.project.folder.glob(f".{output}*"))):
        found.append(f"left behind: {left}")
    return found + broken_laws(report)


def problems(rounds: Sequence[Round]) -> list[str]:
    """Return what is wrong with some rounds: nothing may be paid twice that was kept, and a kill costs what it may at most."""
    found = []
    for number, one in enumerate(rounds, 1):
        found += [f"round {number}: {difference}" for difference in one.differences]
        if one.made != one.needed + one.lost:
            found.append(f"round {number}: {one.made} completions made, {one.needed} needed and {one.lost} lost at kills")
        found += [
            f"round {number}, {kill.phase}: {kill.lost} lost, {kill.allowed} allowed"
            for kill in one.kills
            if kill.lost > kill.allowed
        ]
    return found


def table(rounds: Sequence[Round]) -> str:
    """Show some rounds."""
    heads = ("round", "kills", "needed", "made", "in flight at kills", "lost at kills", "rows equal")
    rows = [
        (number, len(one.kills), one.needed, one.made, sum(kill.in_flight for kill in one.kills), one.lost,
         "no" if one.differences else "yes")
        for number, one in enumerate(rounds, 1)
    ]  # fmt: skip
    sums = [sum(int(row[place]) for row in rows) for place in range(1, 6)]
    whole = "yes" if not any(one.differences for one in rounds) else "no"
    lines = [heads, *rows, ("all", *sums, whole)]
    return "\n".join("  ".join(f"{cell!s:>{len(head)}}" for head, cell in zip(heads, line, strict=True)) for line in lines)


def _main() -> int:
    """Kill runs as often as the command line says."""
    import argparse
    import os
    import sys
    import tempfile
    from contextlib import ExitStack

    parser = argparse.ArgumentParser(prog="python -m tests.e2e.killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--storage", choices=["local", "s3"], default="local")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance = random.Random(asked.seed)
    rounds: list[Round] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sdg-kills-")))
        os.environ |= {"SDG_PREFECT_HOME": str(folder / "prefect"), "SDG_PREFECT_SERVER_PORT": "4390"}
        os.environ.pop("PREFECT_API_URL", None)
        stack.callback(_stop_server)
        s3 = None
        if asked.storage == "s3":
            from tests.e2e.faulty_s3 import FaultyS3

            s3 = stack.enter_context(FaultyS3())
        model = stack.enter_context(SimulatedModel(SLOW_MODEL if s3 else MODEL))
        place = Place.make(folder, model, s3)
        while (done := sum(len(one.kills) for one in rounds)) < asked.kills:
            rounds.append(run_round(place, str(len(rounds)), chance, most=asked.kills - done))
            kills = ", ".join(f"{kill.phase} ({kill.lost} lost)" for kill in rounds[-1].kills)
            print(f"round {len(rounds)}: killed at {kills or 'no moment'}", file=sys.stderr, flush=True)
    print(table(rounds))
    for problem in (found := problems(rounds)):
        print(problem)
    return 1 if found else 0


def _stop_server() -> None:
    from sdg_prefect.engine.server import stop

    stop()


if __name__ == "__main__":
    raise SystemExit(_main())
