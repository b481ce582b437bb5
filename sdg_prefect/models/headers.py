"""Headers of calls: ``${NAME}`` in one stands for an environment variable, which is read for each call and kept nowhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sdg_prefect.errors import EndpointError

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
"""How a text names an environment variable, with what counts where it is not set: ``${NAME}`` or ``${NAME:-default}``."""


def filled(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return headers with environment variables filled in.

    Raises:
        EndpointError: A variable is not set.
    """
    return {str(name): VARIABLE.sub(_value, str(text)) for name, text in headers.items()}


def secrets_of(headers: Any) -> Iterator[str]:
    """Give the values of variables in headers, which no message may repeat."""
    for text in headers.values() if isinstance(headers, Mapping) else ():
        yield from (value for name, _ in VARIABLE.findall(str(text)) if (value := os.environ.get(name, "").strip()))


def _value(match: re.Match[str]) -> str:
    found = os.environ.get(match[1], "").strip() or match[2]
    if not found:
        raise EndpointError(f"the environment variable {match[1]} is not set.", "A header of the calls needs it.")
    return found
