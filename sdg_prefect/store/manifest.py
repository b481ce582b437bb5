"""The manifest of a run: what went in, what was done to it, with which programs, and what came out; each with its hash."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sdg_prefect.errors import InputError, StoreError
from sdg_prefect.store.hub import PREFIX
from sdg_prefect.store.places import find_sources
from sdg_prefect.store.root import Root, is_remote

MANIFEST_FILE = "manifest.json"
PACKAGES = (
    "sdg-prefect",
    "prefect",
    "datasets",
    "pyarrow",
    "numpy",
    "litellm",
    "aiohttp",
    "jinja2",
    "pydantic",
    "docling",
    "pypdfium2",
    "kreuzberg",
)
"""Packages whose versions may matter to the rows."""
_GIT_SECONDS = 5


def write_manifest(root: Root, run_id: str, manifest: Mapping[str, Any]) -> None:
    """Write the manifest of a run."""
    root.write(f"{json.dumps(manifest, ensure_ascii=False, indent=1, default=str)}\n".encode(), "runs", run_id, MANIFEST_FILE)


def read_manifest(root: Root, run_id: str) -> dict[str, Any]:
    """Read the manifest of a run.

    Raises:
        StoreError: There is none, as of a run of an earlier version or one that was killed; or it is damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads(root.read("runs", run_id, MANIFEST_FILE))
    except FileNotFoundError as error:
        raise StoreError(f"run {run_id} left no manifest: it was killed, or is still on.", "Give its command again.") from error
    except ValueError as error:
        raise StoreError(f"{root.url('runs', run_id, MANIFEST_FILE)} is damaged.", "Give the run's command again.") from error
    return manifest


def programs() -> dict[str, Any]:
    """Return the versions of Python, of this machine's system, and of the packages that matter."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"python": platform.python_version(), "system": f"{platform.system()} {platform.machine()}", "packages": found}


def revision_of(file: str) -> dict[str, Any] | None:
    """Return the git revision of the checkout that a file is in, its path there, and whether anything was changed since.

    None where there is no checkout.
    """
    folder = Path(file).resolve().parent
    git = shutil.which("git")
    if git is None or not folder.is_dir():
        return None

    def ask(*words: str) -> str | None:
        try:
            command = [git, "-C", str(folder), *words]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    revision = ask("rev-parse", "HEAD")
    if not revision:
        return None
    changed = ask("status", "--porcelain", "--untracked-files=no")
    path = f"{ask('rev-parse', '--show-prefix') or ''}{Path(file).name}"
    return {"revision": revision, "is_changed": changed is None or bool(changed), "path": path}


def files_at(target: str) -> list[dict[str, Any]]:
    """Return the local files of an output, with their sizes and SHA-256; none for what lies elsewhere."""
    if is_remote(target):
        return []
    path = Path(target.removeprefix("file://")).expanduser()
    return _hashed([path] if path.is_file() else _in(path))


def files_of(source: str) -> list[dict[str, Any]]:
    """Return the local files that seeds are read from, with their sizes and SHA-256; none for what lies elsewhere.

    Args:
        source: As for ``read_seeds``.
    """
    if is_remote(source) or source.startswith(PREFIX):
        return []
    try:
        found = [Path(one.path) for one in find_sources(source)]
    except InputError:
        # A run that goes on after its seeds were read needs them no more.
        return []
    return _hashed([file for path in found for file in ([path] if path.is_file() else _in(path))])


def address_of(place: str) -> str:
    """Return a place as an address that is the same from everywhere.

    Args:
        place: A local path, an address, or ``hf:NAME``.
    """
    if place.startswith(PREFIX):
        return f"hf://{place.removeprefix(PREFIX).removeprefix('//')}"
    return place if is_remote(place) else Path(place.removeprefix("file://")).expanduser().resolve().as_uri()


def _in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []


def _hashed(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Tell of files; where they lie in several folders, their names say in which."""
    above = (os.path.commonpath([file.parent for file in files]) if files else "") or "."
    return [{"name": os.path.relpath(file, above), "size": os.path.getsize(file), "sha256": _sha256(file)} for file in files]


def _sha256(path: Path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
