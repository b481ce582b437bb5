"""What every script here is told, and the rows it reads and writes. It runs in the environments of the peers: standard library only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODEL = "simulated"


@dataclass(frozen=True)
class Task:
    """Rows, the prompts of the chain, and where to ask."""

    rows: list[dict[str, str]]
    rows_file: Path
    prompts: list[str]
    """One for each block, as Python format strings: ``{id}``, ``{note}`` and the replies so far, ``{reply_1}`` and on."""
    url: str
    concurrency: int
    output: Path

    @property
    def templates(self) -> list[str]:
        """The prompts as Jinja templates."""
        return [prompt.replace("{", "{{ ").replace("}", " }}") for prompt in self.prompts]

    @property
    def folder(self) -> Path:
        """A folder of this run's own."""
        return self.output.parent

    def write(self, rows: Iterable[Mapping[str, Any]], last: str = "") -> None:
        """Write the id and the last reply of each row.

        Args:
            rows: What the tool gave.
            last: The column with the last reply, if it is not ``reply_`` and the number of blocks.
        """
        column = last or f"reply_{len(self.prompts)}"
        with self.output.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"id": row["id"], "reply": row[column]}) + "\n" for row in rows)


def columns_of(prompt: str) -> list[str]:
    """Return the columns that a prompt reads."""
    return [part.partition("}")[0] for part in prompt.split("{")[1:]]


def read_task() -> Task:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    with asked.rows.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    prompts = json.loads(asked.prompts.read_text(encoding="utf-8"))
    return Task(rows, asked.rows, prompts, asked.url, asked.concurrency, asked.output)
