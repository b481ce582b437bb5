"""What a store knows of the batches that are with providers: which of them hold which requests."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sdg_prefect.store.listing import read_files
from sdg_prefect.store.root import Root

logger = logging.getLogger("sdg_prefect.run")

_FOLDER = "batches"
_SUFFIX = ".json"


@dataclass(frozen=True)
class StoredBatches:
    """The records of batches in a store: ``batches/<place>/<name>.json``, each written as a whole."""

    root: Root

    def read(self, place: str, known: Collection[str]) -> dict[str, Mapping[str, Any]]:
        """Return the records at a place by their names, but for those that are known."""
        found: dict[str, Mapping[str, Any]] = {}
        listed = self.root.sizes(_FOLDER, place)
        names = {name.removesuffix(_SUFFIX) for name in listed if name.endswith(_SUFFIX) and not name.startswith(".")}
        paths = {f"{_FOLDER}/{place}/{name}{_SUFFIX}": name for name in names - set(known)}
        for path, content in read_files(self.root, paths).items():
            try:
                found[paths[path]] = json.loads(content)
            except ValueError:
                logger.warning("%s cannot be read; what is in that batch is asked again", self.root.url(path))
        return found

    def write(self, place: str, name: str, record: Mapping[str, Any]) -> None:
        """Make a record durable; it takes the place of the one of that name."""
        self.root.write(json.dumps(record).encode(), _FOLDER, place, f"{name}{_SUFFIX}")

    def remove(self, place: str, name: str) -> None:
        """Remove a record; nothing happens if it is not there."""
        self.root.remove(_FOLDER, place, f"{name}{_SUFFIX}")
