"""Which runs are on: each says so in the store, ``runs/<run id>/alive.json``, for as long as it is."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.store.sharing.process import Process

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

ALIVE = "alive.json"
_RENEWED_EVERY = 10.0
_SILENCE = 60.0
"""Seconds after which a run on another machine that has not renewed its presence counts as dead."""

logger = logging.getLogger("sdg_prefect.run")
_here: set[str] = set()
"""The runs of this process that are on: it may outlive them."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What a run says of itself while it is on."""

    run_id: str
    flow: str
    process: Process
    started: float
    """When the run began, in Unix time."""
    beat: float
    """When it last said so, in Unix time; by the clock of the store where that is known."""
    api_url: str = ""
    """The Prefect server that shows it."""
    server_home: str = ""
    """Folder of that server where it is a managed one: its address may change."""
    flow_run_ids: tuple[str, ...] = ()
    """Prefect's ids of the run and its pipelines, as far as they were known."""


def is_alive(presence: Presence, now: float | None = None) -> bool:
    """True if a run is on: its process is there or, where that cannot be seen from here, was heard of lately.

    Args:
        presence: What the run says of itself.
        now: The time by the clock of the store; by that of this machine if not given.
    """
    if presence.process == Process.this():
        return presence.run_id in _here
    running = presence.process.is_running
    return (time.time() if now is None else now) - presence.beat < _SILENCE if running is None else running


def presences(root: Root) -> list[Presence]:
    """Return the runs of a store that did not say that they ended, oldest first, whether they are alive or not."""
    if root.is_remote:
        root.filesystem.invalidate_cache()
        found = [path.split("/")[-2] for path in root.filesystem.find(root.path("runs")) if path.endswith(f"/{ALIVE}")]
    else:
        folder = root.path("runs")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        found = [name for name in names if os.path.exists(os.path.join(folder, name, ALIVE))]
    read = (read_presence(root, run_id) for run_id in sorted(found))
    return [presence for presence in read if presence is not None]


def read_presence(root: Root, run_id: str) -> Presence | None:
    """Return what a run says of itself; None if it has ended."""
    try:
        known: dict[str, Any] = json.loads(root.read("runs", run_id, ALIVE))
        renewed = _modified(root, run_id)
        process = Process(**known.pop("process"))
        return Presence(**{**known, "process": process, "flow_run_ids": tuple(known["flow_run_ids"]), "beat": renewed})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(root: Root, run_id: str) -> None:
    """Remove the presence of a run; nothing happens if it is not there."""
    with suppress(FileNotFoundError):
        root.filesystem.rm_file(root.path("runs", run_id, ALIVE))


def _modified(root: Root, run_id: str) -> float:
    """Return when a presence was renewed, by the clock of the store: those of its writers may differ."""
    path = root.path("runs", run_id, ALIVE)
    if not root.is_remote:
        return os.stat(path).st_mtime
    root.filesystem.invalidate_cache(path)
    with root.failing_plainly("read", "runs", run_id, ALIVE):
        return float(root.filesystem.modified(path).timestamp())


@dataclass
class Heartbeat:
    """Keeps the presence of one run, from a thread of its own: a busy event loop is no sign of death."""

    root: Root
    run_id: str
    flow: str = ""
    api_url: str = ""
    server_home: str = ""
    flow_run_ids: Sequence[str] = ()
    """Prefect's ids of the run and its pipelines, which may come to be more."""
    every: float = _RENEWED_EVERY
    _ahead: float = 0.0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.process = Process.this()
        self._started = time.time()

    def begin(self) -> None:
        """Say that the run is on, now and from now on.

        Raises:
            StoreError: The store cannot be written.
        """
        _here.add(self.run_id)
        try:
            self._write()
            self._ahead = _modified(self.root, self.run_id) - time.time()
        except BaseException:
            _here.discard(self.run_id)
            raise
        threading.Thread(target=self._beat, name=f"presence of {self.run_id}", daemon=True).start()

    def now(self) -> float:
        """Return the time by the clock of the store."""
        return time.time() + self._ahead

    def end(self) -> None:
        """Say that the run has ended."""
        self._over.set()
        with self._guard:
            _here.discard(self.run_id)
            try:
                forget(self.root, self.run_id)
            except Exception as error:  # noqa: BLE001 - whatever a file system raises, the run itself has ended well
                logger.warning("the store still shows the run as being on: %s", error)

    def _beat(self) -> None:
        while not self._over.wait(self.every):
            self.renew()

    def renew(self) -> None:
        """Say again that the run is on; if that fails, others notice when it goes on for long, and no sooner."""
        with self._guard:
            if self._over.is_set():
                return
            try:
                self._write()
            except Exception as error:  # noqa: BLE001 - the thread has to go on, or the run would look dead
                logger.debug("the presence of the run was not renewed: %s", error)

    def _write(self) -> None:
        presence = Presence(
            run_id=self.run_id,
            flow=self.flow,
            process=self.process,
            started=self._started,
            beat=time.time(),
            api_url=self.api_url,
            server_home=self.server_home,
            flow_run_ids=tuple(self.flow_run_ids),
        )
        self.root.write(json.dumps(asdict(presence)).encode(), "runs", self.run_id, ALIVE)
