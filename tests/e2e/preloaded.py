"""Imported by the process of which warm commands are forks: what a run imports, in the environment that a run gives to Prefect."""

from __future__ import annotations

import os
from importlib import import_module

from sdg_prefect.engine.server import client_environment, status

_IMPORTED = (
    "aiohttp",
    "datasets",
    "prefect.main",
    "sdg_prefect.cli.app",
    "sdg_prefect.engine.flows",
    "sdg_prefect.engine.running",
    "sdg_prefect.simulator.server",
)

shared = status()
if shared is None:
    raise RuntimeError("The managed server of the tests is not running.")
# Prefect reads its settings when it is imported.
os.environ.update(client_environment(shared))
for name in _IMPORTED:
    import_module(name)
