"""What ``datasets.load_from_disk`` wants beside the Arrow files of a dataset."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

INFO, STATE = "dataset_info.json", "state.json"


def records(names: Sequence[str], mark: str) -> dict[str, bytes]:
    """Return the files beside the data, by name; the last one names the data.

    ``Dataset.save_to_disk`` writes the same, but spends most of its time copying metadata in Python, which holds up every other
    shard of the process.

    Args:
        names: The Arrow files, in the order of their rows.
        mark: Stands for the rows: datasets keeps what it computes under this name.
    """
    # Without features in it, which are those of the Arrow files, this is right for old and new rows alike.
    info = {"citation": "", "description": "", "homepage": "", "license": ""}
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": mark,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    return {INFO: _encoded(info), STATE: _encoded(state)}


def _encoded(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2, sort_keys=True).encode()
