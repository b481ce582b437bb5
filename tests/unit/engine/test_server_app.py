"""The garbage of the managed server, collected where nobody waits for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# A connection waits for the write lock, a cursor of its own is garbage, and the thread that has the lock allocates before it gives it back.
PROGRAM = """
import contextlib, sqlite3, sys, threading, time
from sdg_prefect.engine.server_app import collect_apart

if sys.argv[2] == "apart":
    collect_apart(every=0.05)
path = sys.argv[1]
holder = sqlite3.connect(path, isolation_level=None)
waiter = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
holder.execute("PRAGMA journal_mode = WAL")
holder.execute("CREATE TABLE rows (id INTEGER)")
cursor = waiter.execute("SELECT 1 UNION SELECT 2")
cycle = [cursor]
cycle.append(cycle)
holder.execute("BEGIN IMMEDIATE")
outcome = "refused"
waits = threading.Event()

def write():
    global outcome
    waits.set()
    # What is raised depends on which thread looks at the statement first: a refusal in words, or an error without any.
    with contextlib.suppress(sqlite3.Error, SystemError):
        waiter.execute("INSERT INTO rows VALUES (1)")
        outcome = "written"

writer = threading.Thread(target=write)
writer.start()
waits.wait()
time.sleep(1.0)
del cursor, cycle
kept = [[] for _ in range(100_000)]
time.sleep(0.2)
holder.execute("COMMIT")
writer.join()
print(outcome)
"""


@pytest.mark.parametrize(("where", "outcome"), [("apart", "written"), ("in whichever thread", "refused")])
def test_who_has_the_write_lock_can_give_it_back_while_a_cursor_of_a_waiting_connection_is_freed(
    where: str, outcome: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "rows.db"), where]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == outcome
