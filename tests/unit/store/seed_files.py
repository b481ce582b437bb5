"""Files of seeds."""

import json
from pathlib import Path

import pyarrow as pa

from sdg_prefect.rows import ROW_ID

ROWS = [{"question": "Why?", "score": 1, "level": 0.5}, {"question": "Où ça ?", "score": 2, "level": None}]


def write(folder: Path, name: str, content: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def rows_of(table: pa.Table) -> list[dict[str, object]]:
    return [{name: value for name, value in row.items() if name != ROW_ID} for row in table.to_pylist()]
