"""Writes the rows of the golden cases of sdg_hub 0.9 by running each flow through sdg_hub 0.9.4.

Make a throwaway environment and run this file in it; nothing of it is needed to run the tests:

    python3.11 -m venv /tmp/oracle09 && /tmp/oracle09/bin/pip install sdg-hub==0.9.4
    /tmp/oracle09/bin/python tests/oracle/regenerate_09.py           # writes rows.jsonl of every case
    /tmp/oracle09/bin/python tests/oracle/regenerate_09.py --check   # writes nothing, exits 1 on a difference

README.md beside this file says what a case holds.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

# The folder of a script is where Python looks first.
shared = importlib.import_module("regenerate")
upstream = importlib.import_module("upstream_09")


def run_case(case: Path, _helped: list[str], address: str) -> Any:
    """Runs a case through sdg_hub and gives its rows."""
    return upstream.run_flow(case / "flow.yaml", shared.read_lines(case / "seeds.jsonl"), f"{address}/{case.name}/v1")


if __name__ == "__main__":
    sys.exit(shared.main("sdg_hub 0.9.4", run_case, shared.is_of_09))
