"""litellm's list of models: what they cost and what they can. The list that comes with the package, never a newer one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_FILE = "model_prices_and_context_window_backup.json"


def listed(model: str) -> Mapping[str, Any]:
    """Return what the list says of a model; nothing where it does not know it.

    Args:
        model: The name as litellm writes it, with or without a provider in front.
    """
    found: Mapping[str, Any] = _list().get(model) or _list().get(model.split("/", 1)[-1]) or {}
    return found


@cache
def _list() -> dict[str, Any]:
    """Read the list, without the seconds that importing litellm takes."""
    spec = find_spec("litellm")
    places = list(spec.submodule_search_locations or ()) if spec else []
    files = [file for place in places if (file := Path(place) / _FILE).exists()]
    read: dict[str, Any] = json.loads(files[0].read_text()) if files else {}
    return read
