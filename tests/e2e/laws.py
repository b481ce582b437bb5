"""What holds for the report of any run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def broken_laws(report: Mapping[str, Any]) -> list[str]:
    """Return where rows are not accounted for: in a block, from block to block, or at the end."""
    found, before = [], report["rows_in"]
    for block in report["blocks"]:
        went = block["gave_rows"] + block["filtered"] + block["deduplicated"] + block["rejected"]
        if block["rows_in"] != went:
            found.append(f"{block['name']}: {block['rows_in']} rows in, {went} accounted for")
        if block["rows_in"] != before:
            found.append(f"{block['name']}: {block['rows_in']} rows in, {before} out of the block before")
        before = block["rows_out"]
    if report["rows_out"] != before:
        found.append(f"{report['rows_out']} rows out of the run, {before} out of its last block")
    return found
