"""Synthetic training data from YAML flows, run by Prefect."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdg_prefect.api import generate
    from sdg_prefect.blocks.base import Block, Columns, Need
    from sdg_prefect.blocks.context import Context
    from sdg_prefect.blocks.registry import block
    from sdg_prefect.engine.deployable import run_flow_file
    from sdg_prefect.errors import FlowError, InputError, SdgError

__version__ = "0.1.0"

__all__ = ["Block", "Columns", "Context", "FlowError", "InputError", "Need", "SdgError", "block", "generate", "run_flow_file"]

_HOMES = {
    "Block": "sdg_prefect.blocks.base",
    "Columns": "sdg_prefect.blocks.base",
    "Context": "sdg_prefect.blocks.context",
    "FlowError": "sdg_prefect.errors",
    "InputError": "sdg_prefect.errors",
    "Need": "sdg_prefect.blocks.base",
    "SdgError": "sdg_prefect.errors",
    "block": "sdg_prefect.blocks.registry",
    "generate": "sdg_prefect.api",
    "run_flow_file": "sdg_prefect.engine.deployable",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that importing the package costs nothing (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sdg_prefect' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
