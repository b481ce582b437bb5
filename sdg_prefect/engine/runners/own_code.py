"""Blocks from a file that the command line named: their code goes to the workers, which do not have the file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.abc import ExecutionLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.upstream import UpstreamBlock
from sdg_prefect.errors import FlowError
from sdg_prefect.plan.plan import Plan

OWN = "sdg_own_"
"""What the names of modules begin with that are files of blocks; they can be imported nowhere else."""


@dataclass(frozen=True, slots=True)
class OwnModule:
    """A file of blocks: a module that is on no path."""

    name: str
    file: str
    """Where it was; shown in errors."""
    source: str


def own_code(plan: Plan) -> tuple[OwnModule, ...]:
    """Return the files from which the blocks of a plan come, with the code that was loaded from them.

    Raises:
        FlowError: A block in the style of sdg_hub is in the script that runs, where no other process finds it by its name.
    """
    for step in plan.steps():
        if _home(step.block) == "__main__" and isinstance(step.block, UpstreamBlock):
            problem = f"block type '{step.block.type_name}' is in the script that runs, where workers do not find it."
            raise FlowError(problem, "Put it into a file, and import that or name it with --blocks.")
    names = {_home(step.block) for step in plan.steps()}
    return tuple(_read(sys.modules[name]) for name in sorted(names) if name.startswith(OWN))


def _home(block: Block) -> str:
    return type(block).__module__


def _read(module: ModuleType) -> OwnModule:
    assert module.__spec__ is not None
    loader = module.__spec__.loader
    assert isinstance(loader, ExecutionLoader)
    file = str(module.__file__)
    return OwnModule(module.__name__, file, loader.get_source(module.__name__) or Path(file).read_text("utf-8"))


def load_own_code(modules: Iterable[OwnModule]) -> None:
    """Load modules into this process, unless the same code is there already."""
    for own in modules:
        there = sys.modules.get(own.name)
        if there is None or _read(there).source != own.source:
            _load(own)


def _load(own: OwnModule) -> None:
    spec = spec_from_file_location(own.name, own.file, loader=_Sent(own))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[own.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[own.name]
        raise


class _Sent(ExecutionLoader):
    """Loads a module from the code that was sent."""

    def __init__(self, own: OwnModule) -> None:
        self._own = own

    def get_filename(self, fullname: str) -> str:
        return self._own.file

    def get_source(self, fullname: str) -> str:
        return self._own.source

    def is_package(self, fullname: str) -> bool:
        return False
