"""Claims in a store on S3: an object for each, which only one run can create, and which is void when that run is dead."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import StoreError
from sdg_prefect.store.root import TAKEN, UNCONDITIONAL, s3_code
from sdg_prefect.store.sharing.presence import Heartbeat, is_alive, presences, read_presence

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root

logger = logging.getLogger("sdg_prefect.run")

_FOLDER = "claims"
_LOOKED_EVERY = 1.0
"""Seconds between two listings of the claims, which all shards share that wait."""


@dataclass
class Leases:
    """The claims of one run: one request to claim, one to give back."""

    root: Root
    heartbeat: Heartbeat
    _are_unknown: bool = False
    _runs: dict[str, str] = field(default_factory=dict)
    """Which run a lease names, by its ETag: the content of leases does not change."""
    _look: asyncio.Future[set[str]] | None = None

    async def take(self, key: str) -> bool:
        def take() -> bool:
            with self.root.failing_plainly("claim", _FOLDER, key):
                return self._take(key)

        return await asyncio.to_thread(take)

    async def give_back(self, key: str) -> None:
        await asyncio.to_thread(self._give_back, key)

    async def until_free(self, key: str) -> None:
        held = {key}
        while key in held:
            if self._look is None or self._look.done():
                self._look = asyncio.ensure_future(self._held())
            held = await asyncio.shield(self._look)

    def close(self) -> None:
        if self._look is not None:
            self._look.cancel()

    def _take(self, key: str) -> bool:
        if self._are_unknown or self._put(key, IfNoneMatch="*"):
            return True
        lease = self._lease(key)
        if lease is None:
            return False
        etag, run_id = lease
        # Ours, where S3 took a request whose answer was lost, so that the client sent it again.
        return run_id == self.heartbeat.run_id or (not self._is_on(run_id) and self._put(key, IfMatch=etag))

    def _put(self, key: str, **condition: str) -> bool:
        """Write a lease under a condition; return whether it held."""
        path = self.root.path(_FOLDER, key)
        try:
            self.root.filesystem.pipe_file(path, self.heartbeat.run_id.encode(), **condition)
        except OSError as error:
            if (code := s3_code(error)) in TAKEN:
                return False
            if code not in UNCONDITIONAL:
                raise StoreError(f"cannot write {self.root.url(_FOLDER, key)}: {error}.") from error
            self._are_unknown = True
            logger.warning("this storage has no conditional writes (%s): let only one run at a time work on it", code)
        return True

    def _give_back(self, key: str) -> None:
        if self._are_unknown:
            return
        try:
            with self.root.failing_plainly("give back", _FOLDER, key):
                self.root.filesystem.rm_file(self.root.path(_FOLDER, key))
        except (FileNotFoundError, StoreError) as error:
            logger.warning("a claim could not be given back before the end of this run: %s", error)

    def _lease(self, key: str) -> tuple[str, str] | None:
        """Return the ETag of a lease and the run that it names; None where nobody has claimed the key."""
        path = self.root.path(_FOLDER, key)
        with suppress(FileNotFoundError):
            etag = _etag(self.root.filesystem.info(path, refresh=True))
            return etag, self._run_of(path, etag)
        return None

    def _run_of(self, path: str, etag: str) -> str:
        """Return the run that a lease names; raise FileNotFoundError if the lease is no longer there."""
        if etag not in self._runs:
            run_id = self.root.filesystem.cat_file(path).decode()
            if _etag(self.root.filesystem.info(path, refresh=True)) != etag:
                raise FileNotFoundError(path)
            self._runs[etag] = run_id
        return self._runs[etag]

    async def _held(self) -> set[str]:
        await asyncio.sleep(_LOOKED_EVERY)
        return await asyncio.to_thread(self._list)

    def _list(self) -> set[str]:
        """Return the keys that living runs have claimed."""
        with self.root.failing_plainly("read", _FOLDER):
            return self._list_now()

    def _list_now(self) -> set[str]:
        found: dict[str, str] = {}
        for path, etag in self._etags().items():
            with suppress(FileNotFoundError):
                found[path.rsplit("/", 1)[-1]] = self._run_of(path, etag)
        living = {run_id for run_id in set(found.values()) if self._is_on(run_id)}
        return {key for key, run_id in found.items() if run_id in living}

    def _etags(self) -> dict[str, str]:
        """Return the ETags of all leases, by path."""
        folder = self.root.path(_FOLDER)
        self.root.filesystem.invalidate_cache(folder)
        found = self.root.filesystem.find(folder, detail=True)
        # Where it found nothing, s3fs asks for the folder itself, which is there if somebody has just claimed the first key.
        return {path: _etag(entry) for path, entry in found.items() if entry["type"] == "file"}

    def _is_on(self, run_id: str) -> bool:
        presence = read_presence(self.root, run_id)
        return presence is not None and is_alive(presence, self.heartbeat.now())


def sweep_leases(root: Root, heartbeat: Heartbeat) -> None:
    """Remove the leases of dead runs. Each is taken over before: in the meantime a living run may have done so."""
    if not root.uri.startswith("s3://"):
        return
    leases = Leases(root, heartbeat)
    on = {presence.run_id for presence in presences(root) if is_alive(presence, heartbeat.now())}
    for path, etag in leases._etags().items():
        key = path.rsplit("/", 1)[-1]
        with suppress(FileNotFoundError):
            if leases._run_of(path, etag) not in on and leases._put(key, IfMatch=etag):
                leases._give_back(key)


def _etag(entry: Any) -> str:
    return str(entry["ETag"])
