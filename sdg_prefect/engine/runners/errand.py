"""What goes to a worker, what the worker does with it, and what comes back."""

from __future__ import annotations

import asyncio
import logging
import platform
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import cloudpickle

from sdg_prefect.engine.log import logger
from sdg_prefect.engine.runners.line import Caller, Line, LineDown, check_line
from sdg_prefect.engine.runners.own_code import OwnModule, load_own_code
from sdg_prefect.engine.working import Assignment, work
from sdg_prefect.errors import SdgError, StoreError, as_store_error
from sdg_prefect.store.access import hand_over
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.presence import ALIVE


def _version() -> str:
    return version("sdg-prefect")


@dataclass(frozen=True, slots=True)
class Crew:
    """What all workers of a run have in common."""

    root: Root
    run_id: str
    own: tuple[OwnModule, ...]
    """Files of blocks that a worker does not have."""
    line: Line | None
    """How to reach the run; None where no block asks a model."""
    access: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """How the store is opened, where credentials were handed over for it; else a worker takes those of its environment."""
    version: str = field(default_factory=_version)
    python: str = field(default_factory=platform.python_version)


@dataclass(frozen=True, slots=True)
class Errand:
    """The work on a shard, on its way to a worker."""

    crew: Crew
    line: Line
    packed: bytes = field(repr=False)
    """The assignment. It names blocks, so it can be read once their code is there."""

    @classmethod
    def of(cls, crew: Crew, line: Line, assignment: Assignment) -> Errand:
        """Pack an assignment."""
        return cls(crew, line, cloudpickle.dumps(assignment))


@dataclass(frozen=True, slots=True)
class Said:
    """A line that was written to the log of the run, on a worker."""

    level: int
    text: str
    damaged_store: str | None = None
    """The store, where the line tells of damage to it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """What comes back from an errand."""

    result: Checkpoint | Exception | None
    """None where nobody waits for the work any more."""
    said: Sequence[Said] = ()


class UnfitWorker(SdgError):
    """A worker cannot do the work of a run."""


def find_obstacle(crew: Crew) -> str:
    """Say why this process cannot work for a run, and what to do; nothing if it can. Workers are asked before the first call."""
    if crew.version != (mine := _version()):
        return f"has sdg_prefect {mine}, and the run {crew.version}: install the same"
    if (mine := platform.python_version()).rpartition(".")[0] != crew.python.rpartition(".")[0]:
        return f"has Python {mine}, and the run {crew.python}: use the same"
    if crew.access:
        hand_over(crew.root.uri, dict(crew.access))
    try:
        if not crew.root.exists("runs", crew.run_id, ALIVE):
            return f"does not see the store {crew.root.uri}: name one that all share, as with --storage s3://BUCKET/PREFIX"
        if crew.line is not None:
            check_line(crew.line)
        load_own_code(crew.own)
    except LineDown as error:
        return f"says that {error.message.rstrip('.')}: set SDG_PREFECT_DRIVER_HOST to a name by which workers reach this machine"
    except StoreError as error:
        return f"says: {error.message.rstrip('.')}. Workers need the variables that lead to it"
    except Exception as error:  # noqa: BLE001 - whatever a user's code does is told
        return f"cannot load the blocks of {crew.own[0].file}: {type(error).__name__}: {str(error).rstrip('.')}"
    return ""


def do_errand(errand: Errand, aside: Callable[[], AbstractContextManager[object]] = nullcontext) -> Returned:
    """Do the work on a shard, in a worker process.

    Args:
        errand: What to do.
        aside: Entered while answers are waited for, so that the worker does other work meanwhile.
    """
    said: list[Said] = []
    with _noting(said):
        try:
            result: Checkpoint | Exception = work(_unpacked(errand), Caller(errand.line, aside).ask)
        except asyncio.CancelledError:
            return Returned(None, said)
        except (SdgError, OSError) as error:
            return Returned(as_store_error(error), said)
    return Returned(result, said)


_fit: set[str] = set()
"""The runs for which this process was found fit to work."""
_looking = threading.Lock()


def _unpacked(errand: Errand) -> Assignment:
    """Read an assignment, once this process is ready for its run."""
    with _looking:
        if errand.crew.run_id not in _fit:
            if obstacle := find_obstacle(errand.crew):
                raise UnfitWorker(f"a worker on {platform.node()} {obstacle}.")
            _prepare()
            _fit.add(errand.crew.run_id)
    try:
        assignment: Assignment = cloudpickle.loads(errand.packed)
    except (ImportError, AttributeError) as error:
        message = f"a worker on {platform.node()} cannot load a block: {type(error).__name__}: {error}."
        raise UnfitWorker(message, "Install there what the run has.") from error
    return assignment


def _prepare() -> None:
    import datasets

    # Threads that map datasets race in tqdm otherwise.
    datasets.disable_progress_bars()


@contextmanager
def _noting(said: list[Said]) -> Iterator[None]:
    """Note what this thread writes to the log of the run, which is elsewhere."""
    mine = threading.get_ident()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == mine:
                said.append(Said(record.levelno, record.getMessage(), getattr(record, "damaged_store", None)))

    handler = Handler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def repeat(said: Sequence[Said]) -> None:
    """Write what a worker has said to the log of the run, here."""
    for one in said:
        extra: dict[str, Any] | None = None if one.damaged_store is None else {"damaged_store": one.damaged_store}
        logger.log(one.level, "%s", one.text, extra=extra)
