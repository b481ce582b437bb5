"""What it takes to find near duplicates among many short texts: our block beside the library that signs them, and datasketch.

Run with ``python tests/benchmarks/bench_dedup.py --rows 10000 100000 1000000``. The texts have 20 words; one in ten is an earlier one
with a word changed. Each tool has a process of its own and the same settings: runs of five letters, 128 permutations, similarity 0.7.
``rensa`` is the library alone, with its own index; ``datasketch`` is asked where it is installed and for up to ``--most`` rows. Prints
seconds; peak memory of the process's own (anonymous), without what it takes to read the texts; recall, of the texts with a
changed word; and precision, of the texts that were dropped. The library alone compares signatures, not the texts, and its index flags
both of a pair: of what it drops about half is the first of a pair, which ours keeps.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

WATCH = """
import json, sys, threading, time
def own():
    with open("/proc/self/status") as status:
        return max(int(line.split()[1]) / 1024 for line in status if line.startswith("RssAnon"))
peak = [0.0]
def watch():
    while True:
        peak[0] = max(peak[0], own())
        time.sleep(0.02)
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1], memory_map=True)
"""
TOLD = """
print(json.dumps({"seconds": time.perf_counter() - started, "mib": peak[0] - before, "kept": kept}))
"""
START = """
before = own()
threading.Thread(target=watch, daemon=True).start()
started = time.perf_counter()
"""
OURS = f"""{WATCH}
import datasets, numpy, rensa
from sdg_prefect.blocks.near_duplicates import DropNearDuplicates
from sdg_prefect.rows import to_dataset, to_table
block = DropNearDuplicates(block_name="d", columns=("text",), similarity=0.7)
rows = to_dataset(table)
{START}
kept = to_table(block.run(rows, None)).column("n").to_pylist()
{TOLD}"""
RENSA = f"""{WATCH}
from rensa import RMinHash, RMinHashLSH
{START}
texts = table.column("text").to_pylist()
runs = ({{text[place:place + 5] for place in range(len(text) - 4)}} for text in texts)
matrix = RMinHash.digest_matrix_from_token_sets(runs, 128, 1)
index = RMinHashLSH(threshold=0.7, num_perm=128, num_bands=32)
flags = index.query_duplicate_flags_matrix_one_shot(matrix)
kept = [place for place, is_repeat in enumerate(flags) if not is_repeat]
{TOLD}"""
DATASKETCH = f"""{WATCH}
from datasketch import MinHash, MinHashLSH
{START}
index, kept = MinHashLSH(threshold=0.7, num_perm=128), []
for place, text in enumerate(table.column("text").to_pylist()):
    signature = MinHash(num_perm=128)
    signature.update_batch([text[start:start + 5].encode() for start in range(len(text) - 4)])
    if not index.query(signature):
        index.insert(place, signature)
        kept.append(place)
{TOLD}"""


def write_texts(path: Path, count: int) -> list[int]:
    """Write texts, and return the places of those that repeat an earlier one but for a word."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    chance = random.Random(1)
    words = [f"{chance.choice('bcdfghklmnprst')}{chance.choice('aeiou')}{number}" for number in range(20_000)]
    texts: list[str] = []
    repeats = []
    for place in range(count):
        if place and place % 10 == 0:
            some = texts[place - 1 - chance.randrange(min(place, 9))].split()
            some[chance.randrange(20)] = "zebra"
            repeats.append(place)
        else:
            some = chance.choices(words, k=20)
        texts.append(" ".join(some))
    pq.write_table(pa.table({"n": range(count), "text": texts}), path)
    return repeats


def measure(name: str, code: str, path: Path, count: int, repeats: list[int]) -> None:
    """Run a tool in a process of its own and print what it took."""
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f"{count:>9,}  {name:<11}failed: {ran.stderr.strip().splitlines()[-1]}")
        return
    said = json.loads(ran.stdout)
    dropped, planted = set(range(count)) - set(said["kept"]), set(repeats)
    recall = len(dropped & planted) / len(planted)
    precision = len(dropped & planted) / len(dropped) if dropped else 1.0
    print(f"{count:>9,}  {name:<11}{said['seconds']:>8.1f} s{said['mib']:>9.0f} MiB{recall:>9.4f}{precision:>10.4f}", flush=True)


def main() -> None:
    """Measure each tool for each number of rows."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, nargs="+", default=[10_000])
    asked.add_argument("--most", type=int, default=100_000, help="Rows that datasketch is given at most.")
    options = asked.parse_args()
    tools = {"ours": OURS, "rensa": RENSA, **({"datasketch": DATASKETCH} if find_spec("datasketch") else {})}
    print(f"{'rows':>9}  {'tool':<11}{'time':>10}{'memory':>13}{'recall':>9}{'precision':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for count in options.rows:
            path = Path(folder) / "texts.parquet"
            repeats = write_texts(path, count)
            for name, code in tools.items():
                if name != "datasketch" or count <= options.most:
                    measure(name, code, path, count, repeats)


if __name__ == "__main__":
    main()
