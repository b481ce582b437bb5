"""Who works on what: runs in processes of their own, some of which are killed, and runs in one process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import s3fs

from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.claims import Claims, Locks, open_claims
from sdg_prefect.store.sharing.leases import Leases, sweep_leases
from sdg_prefect.store.sharing.presence import Heartbeat, presences

pytestmark = pytest.mark.anyio

RUN = """\
import asyncio
import sys
from sdg_prefect.store.sharing.claims import open_claims
from sdg_prefect.store.sharing.presence import Heartbeat
from sdg_prefect.store.root import Root

async def main():
    root = Root.at(sys.argv[1])
    heartbeat = Heartbeat(root, sys.argv[2])
    heartbeat.begin()
    claims = open_claims(root, heartbeat)
    print("on", flush=True)
    for line in sys.stdin:
        word, *keys = line.split()
        print(*[await getattr(claims, word)(key) for key in keys], flush=True)
    claims.close()
    heartbeat.end()

asyncio.run(main())
"""


class Other:
    """A run in a process of its own, which does as it is told."""

    def __init__(self, place: str, run_id: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", RUN, place, run_id], stdin=pipe, stdout=pipe, text=True)
        assert self.answer() == "on"

    def answer(self) -> str:
        """Wait for its answer."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str) -> str:
        """Tell it what to do, and return what came of it."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        return self.answer()

    def take(self, *keys: str) -> str:
        """Let it claim keys."""
        return self.tell(f"take {' '.join(keys)}")

    def give_back(self, *keys: str) -> None:
        """Let it give them back."""
        self.tell(f"give_back {' '.join(keys)}")

    def kill(self) -> None:
        """Kill it; it has no time to give anything back."""
        os.kill(self.process.pid, 9)
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)

    def close(self) -> None:
        """Be done with it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


Begin = Callable[[str], Other]


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests that are asynchronous on asyncio."""
    return "asyncio"


@pytest.fixture
def begin(place: str) -> Iterator[Begin]:
    """Begin a run in another process."""
    begun: list[Other] = []

    def start(run_id: str) -> Other:
        begun.append(Other(place, run_id))
        return begun[-1]

    yield start
    for other in begun:
        other.close()


@contextmanager
def run_here(place: str, run_id: str) -> Iterator[Claims]:
    """Be a run of this process."""
    root = Root.at(place)
    heartbeat = Heartbeat(root, run_id)
    heartbeat.begin()
    claims = open_claims(root, heartbeat)
    try:
        yield claims
    finally:
        claims.close()
        heartbeat.end()


@pytest.fixture
def here(place: str) -> Iterator[Claims]:
    """The claims of a run in this process."""
    with run_here(place, "mine") as claims:
        yield claims


async def test_of_two_runs_one_gets_a_claim_and_the_other_gets_it_after(here: Claims, begin: Begin) -> None:
    other = begin("other")
    assert other.take("a", "b") == "True True"
    assert not await here.take("a")
    assert await here.take("c")
    assert other.take("c") == "False"
    other.give_back("a")
    assert await here.take("a")
    assert not await here.take("b")


async def test_a_killed_run_gives_up_its_claims_at_once(here: Claims, begin: Begin) -> None:
    other = begin("other")
    assert other.take("a", "b") == "True True"
    other.kill()
    assert await here.take("a")
    assert await here.take("b")
    third = begin("third")
    assert third.take("a") == "False"


async def test_who_waits_goes_on_when_the_other_gives_back(here: Claims, begin: Begin) -> None:
    other = begin("other")
    other.take("a")
    waiting = asyncio.ensure_future(here.until_free("a"))
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done
    await asyncio.to_thread(other.give_back, "a")
    await asyncio.wait_for(waiting, 30)
    assert await here.take("a")


async def test_who_waits_goes_on_when_the_other_is_killed(here: Claims, begin: Begin) -> None:
    other = begin("other")
    other.take("a")
    waiting = asyncio.ensure_future(here.until_free("a"))
    await asyncio.sleep(0)
    other.kill()
    await asyncio.wait_for(waiting, 30)
    assert await here.take("a")


async def test_of_many_that_wait_for_a_dead_run_one_takes_over(place: str, begin: Begin) -> None:
    dead = begin("dead")
    dead.take("a")
    with run_here(place, "one") as one, run_here(place, "two") as two, run_here(place, "three") as three:
        assert [await claims.take("a") for claims in (one, two, three)] == [False] * 3
        dead.kill()
        taken = await asyncio.gather(*(claims.take("a") for claims in (one, two, three)))
        assert sorted(taken) == [False, False, True]


async def test_two_runs_of_one_process_exclude_each_other(place: str, begin: Begin) -> None:
    other = begin("other")
    with run_here(place, "one") as one:
        with run_here(place, "two") as two:
            assert await one.take("a")
            assert not await two.take("a")
            assert await two.take("b")
            await two.give_back("b")
        # The second one is done with the store; what the first one holds is not let go of.
        assert other.take("a", "b") == "False True"
        await one.give_back("a")
    assert other.take("a") == "True"


async def test_threads_of_one_process_never_hold_one_claim_at_once(place: str) -> None:
    holders: list[str] = []
    met: list[list[str]] = []

    def work(name: str) -> None:
        async def main() -> None:
            with run_here(place, name) as claims:
                for _ in range(10):
                    while not await claims.take("a"):
                        await claims.until_free("a")
                    holders.append(name)
                    met.append(list(holders))
                    await asyncio.sleep(0)
                    holders.remove(name)
                    await claims.give_back("a")

        asyncio.run(main())

    threads = [threading.Thread(target=work, args=(f"run {number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert len(met) == 20
    assert {len(those) for those in met} == {1}


async def test_a_store_that_was_removed_and_made_again_has_claims(tmp_path: Path) -> None:
    path = tmp_path / "claims" / "locks"
    first = Locks(path)
    assert await first.take("a")
    path.unlink()
    second = Locks(path)
    assert await second.take("a")
    for claims in (first, second):
        await claims.give_back("a")
        claims.close()


async def test_claims_leave_one_file_behind_and_on_s3_none(place: str) -> None:
    with run_here(place, "one") as one:
        for number in range(20):
            assert await one.take(f"key {number}")
            await one.give_back(f"key {number}")
    root = Root.at(place)
    root.filesystem.invalidate_cache()
    left = [path.rsplit("/", 1)[-1] for path in root.filesystem.find(root.path())]
    assert left == ([] if root.is_remote else ["locks"])


@pytest.mark.parametrize("place", ["s3"], indirect=True)
async def test_the_leases_of_dead_runs_are_swept_and_those_of_others_are_not(place: str, begin: Begin) -> None:
    root = Root.at(place)
    dead, living = begin("dead"), begin("living")
    dead.take("a", "b")
    living.take("c")
    dead.kill()
    heartbeat = Heartbeat(root, "mine")
    heartbeat.begin()
    sweep_leases(root, heartbeat)
    root.filesystem.invalidate_cache()
    assert [path.rsplit("/", 1)[-1] for path in root.filesystem.find(root.path("claims"))] == ["c"]
    assert [presence.run_id for presence in presences(root)] == ["dead", "living", "mine"]
    heartbeat.end()


@pytest.mark.parametrize("place", ["s3"], indirect=True)
async def test_a_lease_that_is_ours_already_is_ours(place: str) -> None:
    root = Root.at(place)
    heartbeat = Heartbeat(root, "mine")
    claims = Leases(root, heartbeat)
    # A client that lost the answer asks again, and is told that somebody has the lease.
    root.write(b"mine", "claims", "a")
    assert await claims.take("a")
    root.write(b"another", "claims", "b")
    heartbeat.begin()
    assert await claims.take("b"), "a run without a presence has ended"
    heartbeat.end()


@pytest.mark.parametrize("place", ["s3"], indirect=True)
async def test_a_first_claim_while_others_look_for_claims_disturbs_nobody(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Root.at(place)
    listed = s3fs.S3FileSystem._lsdir

    async def before_the_claim(self: Any, *arguments: Any, **options: Any) -> Any:
        found = await listed(self, *arguments, **options)
        await self._pipe_file(root.path("claims", "a"), b"another")
        return found

    with run_here(place, "mine") as here:
        monkeypatch.setattr(s3fs.S3FileSystem, "_lsdir", before_the_claim)
        await here.until_free("a")
        monkeypatch.undo()
        assert await here.take("a"), "the run that claimed it has ended"


def test_both_kinds_of_claims_are_what_the_engine_asks_for(place: str) -> None:
    opened: AbstractContextManager[Claims] = run_here(place, "mine")
    with opened as claims:
        assert isinstance(claims, Leases if place.startswith("s3://") else Locks)
