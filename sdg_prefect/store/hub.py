"""Datasets of the Hugging Face Hub, named ``hf:name``, ``hf:name:config`` and ``hf:name@split``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.rows import to_table
from sdg_prefect.store.formats import Format
from sdg_prefect.store.places import Found, LocalDisk

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "hf:"


@dataclass(frozen=True, slots=True)
class HubName:
    """What an ``hf:`` source names."""

    source: str
    """As the user wrote it."""
    name: str
    """A dataset of the Hub, or a local folder that ``datasets.load_dataset`` reads."""
    config: str | None = None
    split: str = "train"

    @classmethod
    def of(cls, source: str) -> HubName:
        """Take a source apart.

        Raises:
            InputError: It names no dataset.
        """
        rest = source.removeprefix(PREFIX)
        if os.path.isdir(os.path.expanduser(rest)):
            return cls(source, os.path.expanduser(rest))
        name, _, split = rest.partition("@")
        config = ""
        if os.path.isdir(os.path.expanduser(name)):
            name = os.path.expanduser(name)
        else:
            name, _, config = name.partition(":")
        if not name:
            hint = "Write hf:name, hf:name:config or hf:name@split."
            raise InputError([Problem("names no dataset.", hint, source)])
        return cls(source, name, config or None, split or "train")

    @property
    def saved(self) -> Found | None:
        """The local folder, if it was written by ``save_to_disk``, which ``load_dataset`` does not read."""
        for folder in (f"{self.name}/{self.split}", self.name):
            if os.path.isfile(f"{folder}/state.json"):
                return Found(folder, Format.ARROW_FOLDER, LocalDisk())
        return None


def read_hub(name: HubName, limit: int | None = None) -> pa.Table:
    """Load a dataset of the Hub, or from its cache.

    Raises:
        InputError: There is no such dataset, configuration or split, or it cannot be reached.
    """
    with _loading(name):
        from datasets import load_dataset

        rows = load_dataset(name.name, name.config, split=name.split)
    table = to_table(rows)
    return table if limit is None else table.slice(0, limit)


def hub_columns(name: HubName) -> list[str]:
    """Return the columns of a dataset of the Hub without loading its rows.

    Raises:
        InputError: As ``read_hub``.
    """
    with _loading(name):
        from datasets import load_dataset

        rows = load_dataset(name.name, name.config, split=name.split, streaming=True)
        return list(rows.column_names or next(iter(rows), {}))


@contextmanager
def _loading(name: HubName) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # load_dataset raises whatever its readers and the network raise
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        hint = "Write hf:name, hf:name:config or hf:name@split, and log in with 'hf auth login' if it is private."
        raise InputError([Problem(f"cannot be loaded: {reason.rstrip('.')}.", hint, name.source)]) from error
