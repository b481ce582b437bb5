"""A store made by hand: checkpoints, completions and runs of any age."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from sdg_prefect.counts import Counts
from sdg_prefect.frozen import canonical
from sdg_prefect.rows import with_ids
from sdg_prefect.store.checkpoints import RECORD, checkpoint_folder, sealed, write_checkpoint
from sdg_prefect.store.ledger.segments import encode_index, encode_line, scan
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import write_report, write_uses
from sdg_prefect.store.sharing.presence import Heartbeat

DAY = 86400.0


class Made:
    """A store in a local folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = Root.at(folder)

    def shard(self, folder: str, text: str) -> str:
        """Write a finished shard with its record; return the folder of its data."""
        made = write_checkpoint(self.root, folder, [with_ids(pa.table({"text": [text]}), [text])], Counts(), [], "", 0.0)
        result = canonical({"data": made.model_dump()}).decode()
        self.root.write(sealed(canonical({"result": result})), folder, RECORD)
        return made.folder

    def checkpoint(self, block: str, key: str, text: str = "x") -> str:
        """Write a checkpoint; return its folder."""
        folder = checkpoint_folder(block, key)
        self.shard(folder, text)
        return folder

    def completions(self, key: str, content: str, costs: Sequence[float | None], run_id: str = "20260101-000000-aaaaaa") -> str:
        """Write completions and their index; return the path without its end."""
        path = f"ledger/{key}/{content}/{run_id}-0001"
        data = b"".join(encode_line(f"{content}{place}", {"cost_usd": cost}) for place, cost in enumerate(costs))
        self.root.write(data, f"{path}.jsonl")
        self.root.write(encode_index(scan(data).entries, len(data)), f"{path}.index")
        return path

    def run(
        self,
        run_id: str,
        blocks: Mapping[str, str],
        checkpoints: Sequence[str] | None = (),
        input_: str = "",
        report: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what a run leaves: of each block the key and the key of its ledger; no checkpoints are those of a killed run."""
        steps = [
            {"name": f"block{place}", "type": "LLMBlock", "key": key, "ledger_key": ledger, "parts": {}}
            for place, (key, ledger) in enumerate(blocks.items())
        ]
        uses: dict[str, Any] = {"flow": "small", "file": "flow.yaml", "input": input_, "steps": steps}
        if checkpoints is not None:
            uses["checkpoints"] = list(checkpoints)
            write_report(self.root, run_id, {"status": "completed", "flow": "small", "blocks": [], **(report or {})})
        write_uses(self.root, run_id, uses)

    def age(self, days: float, *paths: str) -> None:
        """Make everything below some paths, or everything, so many days old."""
        when = time.time() - days * DAY
        for path in paths or ("",):
            for folder, _, names in os.walk(self.folder / path):
                for name in names:
                    os.utime(os.path.join(folder, name), (when, when))

    def paths(self, *parts: str) -> list[str]:
        """Return the files below some parts, or all, without the marks in their paths that hash their content."""
        found = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
        return [path for path in found if not parts or path.split("/")[0] in parts]

    def units(self) -> set[str]:
        """Return the checkpoints, completions, inputs and runs that are there."""
        depths = {"checkpoints": 3, "ledger": 3, "inputs": 2, "runs": 2}
        return {"/".join(path.split("/")[: depths.get(path.split("/")[0], 9)]) for path in self.paths()}

    def living(self, run_id: str) -> Heartbeat:
        """Let a run of this process be on."""
        heartbeat = Heartbeat(self.root, run_id)
        heartbeat.begin()
        return heartbeat

    def records(self) -> list[str]:
        """Return the folders that records say data is in."""
        found = []
        for path in self.folder.rglob(RECORD):
            result = json.loads(json.loads(path.read_text("utf-8"))["result"])
            found.append(str(result["data"]["parts"][0]["uri"]))
        return found
