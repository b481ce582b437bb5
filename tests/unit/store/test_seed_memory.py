"""More seeds take more of the disk, not of memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FEW, MANY = 30_000, 180_000
BYTES = 500
"""Of a row, about."""
MOST = 250
"""Bytes of memory that a row more may take: half of what it would take if it were held. It takes some tens, for its id."""

READ = """
import sys, threading, time
import sdg_prefect.spill
from sdg_prefect.store.seeds import read_seeds

sdg_prefect.spill._HELD_BYTES = 1 << 20
peak = 0

def watch():
    global peak
    while True:
        with open("/proc/self/status") as status:
            peak = max(peak, *(int(line.split()[1]) for line in status if line.startswith("RssAnon")))
        time.sleep(0.005)

threading.Thread(target=watch, daemon=True).start()
for source in sys.argv[1:]:
    assert read_seeds(source, folder=sys.argv[1] + ".tmp").num_rows
    print(peak * 1024)
"""


def write(path: Path, rows: int) -> str:
    """Write rows of which the last one widens a column."""
    text = "word " * (BYTES // 5)
    values = [*range(rows - 1), 0.5]
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"text": [f"{number} {text}" for number in range(rows)], "n": pa.array(values)}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f'{{"text": "{place} {text}", "n": {value}}}\n' for place, value in enumerate(values)))
    else:
        path.write_text("text,n\n" + "".join(f"{place} {text},{value}\n" for place, value in enumerate(values)))
    return str(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells memory from mapped files")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_memory_does_not_grow_with_the_seeds(tmp_path: Path, kind: str) -> None:
    sources = [write(tmp_path / f"{rows}.{kind}", rows) for rows in (FEW, MANY)]
    # Memory that is given back goes back to the system at once, so that what is measured is what is held.
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_MMAP_THRESHOLD_": "131072"}
    done = subprocess.run([sys.executable, "-c", READ, *sources], capture_output=True, text=True, check=True, env=environment)
    few, many = map(int, done.stdout.split())
    assert (many - few) / (MANY - FEW) < MOST
