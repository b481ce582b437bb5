"""Where the keys of endpoints are: in environment variables, or handed over by whoever looked them up elsewhere.

An endpoint carries the name of its key, never the key, so that it can be printed, hashed and sent anywhere.
"""

from __future__ import annotations

import os

from pydantic import SecretStr

_HANDED: dict[str, SecretStr] = {}


def hand_over(name: str, key: SecretStr) -> None:
    """Keep a key in this process, under a name that no environment variable has."""
    _HANDED[name] = key


def key_named(name: str) -> str:
    """Return the key of a name; empty where there is none."""
    handed = _HANDED.get(name)
    # Variables filled from files end in a line break, which no header may hold.
    return (os.environ.get(name, "") if handed is None else handed.get_secret_value()).strip()


def shown_place(name: str) -> str:
    """Say where the key of a name is."""
    return f"'{name}'" if name in _HANDED else f"the variable {name}"
