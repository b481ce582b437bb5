"""Claims: of several runs on one store, one works on a shard, and the others wait for what it makes."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import random
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root
    from sdg_prefect.store.sharing.presence import Heartbeat

logger = logging.getLogger("sdg_prefect.run")

_SHORTEST_WAIT = 0.05
_LONGEST_WAIT = 0.5


class Claims(Protocol):
    """The claims of one run. Keys are those of checkpoints, so two runs claim the same where they would do the same work."""

    async def take(self, key: str) -> bool:
        """Claim a key; False where another living run has claimed it."""
        ...

    async def give_back(self, key: str) -> None:
        """Let others claim a key."""
        ...

    async def until_free(self, key: str) -> None:
        """Wait until it is worth trying to claim a key again."""
        ...

    def close(self) -> None:
        """Be done with claiming; nothing may be claimed still."""
        ...


def open_claims(root: Root, heartbeat: Heartbeat) -> Claims:
    """Open the claims of a run.

    Args:
        root: The store.
        heartbeat: The presence of the run, by which others see whether its claims still count.
    """
    if root.uri.startswith("s3://"):
        from sdg_prefect.store.sharing.leases import Leases

        return Leases(root, heartbeat)
    if root.is_remote or sys.platform == "win32":
        return Unclaimed()
    return Locks(Path(root.path("claims", "locks")))


class Unclaimed:
    """Where nothing can be claimed, or nobody else can want it: whoever comes may work."""

    async def take(self, key: str) -> bool:
        return True

    async def give_back(self, key: str) -> None:
        return None

    async def until_free(self, key: str) -> None:
        return None

    def close(self) -> None:
        return None


class Locks:
    """Claims in a local store: each is a lock on one byte of one file, far apart by the hash of the key.

    The kernel gives up a dead process's locks, so nobody waits for a run that was killed. A file for each lock, as filelock has
    it, would leave one behind for every shard that was ever made.
    """

    def __init__(self, path: Path) -> None:
        self._file = _LockFile.open(path)

    async def take(self, key: str) -> bool:
        return self._file.lock(_offset(key))

    async def give_back(self, key: str) -> None:
        self._file.unlock(_offset(key))

    async def until_free(self, key: str) -> None:
        wait = _SHORTEST_WAIT
        while True:
            # Not in step with others that wait.
            await asyncio.sleep(wait * random.uniform(0.5, 1))
            wait = min(_LONGEST_WAIT, wait * 2)
            if self._file.lock(_offset(key)):
                self._file.unlock(_offset(key))
                return

    def close(self) -> None:
        self._file.close()


def _offset(key: str) -> int:
    """Return where in the file the lock of a key is."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 2


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what a file is under any of its names; asked without opening it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class _LockFile:
    """The file of the locks of one store, open once in this process.

    The kernel knows of processes only. So a table keeps apart the runs of this one; and as it drops all locks of a process when
    that closes any descriptor of the file, all runs share one, which the last of them closes.
    """

    _opened: ClassVar[dict[tuple[int, int] | None, _LockFile]] = {}
    _opening: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._guard = threading.Lock()
        self._held: set[int] = set()
        self._users = 0

    @classmethod
    def open(cls, path: Path) -> _LockFile:
        """Open the file at a path, unless it is open already under any name."""
        with cls._opening:
            file = cls._opened.get(_identity(path))
            if file is None:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = cls(os.open(path, os.O_RDWR | os.O_CREAT, 0o666))
                cls._opened[_identity(path)] = file
            file._users += 1
            return file

    @classmethod
    def forget(cls) -> None:
        """Start anew in a forked process, which has none of its parent's locks."""
        cls._opened, cls._opening = {}, threading.Lock()

    def close(self) -> None:
        """Give the file back."""
        with self._opening:
            self._users -= 1
            if not self._users:
                _LockFile._opened = {key: file for key, file in self._opened.items() if file is not self}
                os.close(self._descriptor)

    def lock(self, offset: int) -> bool:
        """Lock a byte; False where another run has."""
        import fcntl

        with self._guard:
            if offset in self._held:
                return False
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, offset)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    return False
                logger.debug("this file system has no locks (%s); runs on it do not see each other's work", error)
            self._held.add(offset)
            return True

    def unlock(self, offset: int) -> None:
        """Unlock a byte that was locked."""
        import fcntl

        with self._guard:
            self._held.remove(offset)
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, offset)
            except OSError as error:
                logger.debug("a lock could not be given back: %s", error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_LockFile.forget)
