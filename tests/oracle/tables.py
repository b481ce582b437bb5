"""Reads the tables of cases in ``dialect/``, and writes each case as a flow file with its prompts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

TABLES = Path(__file__).parent / "dialect"
SERVER = "@SERVER@"
"""Stands in a table for the address of the small server that plays models and agents."""
TOOLS = "@TOOLS@"
"""Stands in a table for the address of the small server of tools."""


@dataclass(frozen=True)
class Case:
    """One flow with its seeds, and what the small server says to it."""

    table: str
    row: int
    choices: Mapping[str, Any]
    """What makes it another case than its neighbours."""
    flow: Mapping[str, Any]
    seeds: list[dict[str, Any]]
    files: Mapping[str, str]
    said: Mapping[str, Any]
    """What the server says; see ``answering``."""
    set: Mapping[str, Any] = field(default_factory=dict)
    """Values of fields at run time, by block."""
    dry_run: int = 0
    """Only so many seeds are tried."""
    differs: str = ""
    """Why other rows are right here: the first cell of a line of docs/from-sdg-hub-0.9.md."""
    ignores: tuple[str, ...] = ()
    """Columns, and keys in them, that chance or a clock decides."""
    json: tuple[str, ...] = ()
    """Keys whose values are JSON on one side."""
    in_any_order: bool = False
    """True if the order of the values in lists is left to chance."""

    @property
    def name(self) -> str:
        """What people call it."""
        choices = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in self.choices.items())
        return f"{self.table}[{self.row}] {choices}".rstrip()

    def write(self, folder: Path, server: str, tools: str) -> Path:
        """Write the flow file and what it reads, and return its path."""
        folder.mkdir(parents=True)
        for name, text in self.files.items():
            (folder / name).write_text(text, "utf-8")
        path = folder / "flow.yaml"
        text = yaml.safe_dump(dict(self.flow), allow_unicode=True, sort_keys=False)
        path.write_text(text.replace(SERVER, server).replace(TOOLS, tools), "utf-8")
        return path


def read_cases(wanted: str) -> Iterator[Case]:
    """Give the cases of all tables whose name, or the type of whose block, has a text in it."""
    for path in sorted(TABLES.glob("*.yaml")):
        for number, row in enumerate(yaml.safe_load(path.read_text("utf-8")), 1):
            if wanted in path.stem or wanted in str(row.get("block", row.get("blocks"))):
                yield from _cases(path.stem, number, row)


def reasons() -> set[str]:
    """Return all reasons that the tables give for other rows."""
    rows = [row for path in TABLES.glob("*.yaml") for row in yaml.safe_load(path.read_text("utf-8"))]
    return {str(known["because"]) for row in rows for known in row.get("differs", ())}


def _cases(table: str, number: int, row: Mapping[str, Any]) -> Iterator[Case]:
    """Give a case for each combination of the values of a row of a table, and each set of its seeds."""
    seeds = {str(name): _seeds(cells) for name, cells in row["seeds"].items()}
    varied = row.get("each", {})
    roots = row.get("roots", [{}])
    for name, root, *values in itertools.product(seeds, roots, *varied.values()):
        choices = {key: value for key, value in zip(varied, values, strict=True) if value is not None}
        shown = {**choices, **({"seeds": name} if len(seeds) > 1 else {}), **({"root": root} if len(roots) > 1 else {})}
        metadata = {"name": "case", **row.get("metadata", {})}
        yield Case(
            table,
            number,
            shown,
            flow={"metadata": metadata, "blocks": _blocks(row, choices), **root},
            seeds=seeds[name],
            files={file: text if isinstance(text, str) else yaml.safe_dump(text) for file, text in row.get("files", {}).items()},
            said=row.get("said", {}),
            set=row.get("set", {}),
            dry_run=row.get("dry_run", 0),
            differs=next((str(known["because"]) for known in row.get("differs", ()) if _is_meant(known, shown)), ""),
            ignores=tuple(row.get("ignores", ())),
            json=tuple(row.get("json", ())),
            in_any_order=row.get("in_any_order", False),
        )


def _seeds(cells: Any) -> list[dict[str, Any]]:
    """Return rows; a list of plain values fills the column ``value``, beside a number that tells the rows apart."""
    return [cell if isinstance(cell, dict) and "id" in cell else {"id": place, "value": cell} for place, cell in enumerate(cells)]


def _blocks(row: Mapping[str, Any], choices: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the blocks of a case; what is varied is a field of the one block, or of the block that ``of`` names."""
    if "block" in row:
        config = {"block_name": "one", **row.get("config", {}), **choices}
        return [{"block_type": row["block"], "block_config": config}]
    blocks = []
    for kind, config in (pair for block in row["blocks"] for pair in block.items()):
        named = {"block_name": kind, **config}
        blocks.append(
            {"block_type": kind, "block_config": {**named, **(choices if named["block_name"] == row.get("of") else {})}}
        )
    return blocks


def _is_meant(known: Mapping[str, Any], choices: Mapping[str, Any]) -> bool:
    """True if a known difference is about these choices: each that it names is one of its values, null for a missing one."""
    return all(choices.get(key) in values for key, values in known.get("where", {}).items())
