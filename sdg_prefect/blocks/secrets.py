"""Keys in a flow file: the name of an environment variable stands there, never the key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_HEADERS = re.compile(r"auth|key|token|cookie|secret|password", re.IGNORECASE)
_SECRET_NAMES = re.compile(r"api_?key|secret|password|(access|auth|bearer|session)_token|^token$|credentials", re.IGNORECASE)
_ADVICE = "a key must not stand in a file; write ${NAME}, with the name of the environment variable that holds it."


def _is_name(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise PydanticCustomError("secret", "{advice}", {"advice": _ADVICE})
    return text


def _hold_no_keys(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if _SECRET_HEADERS.search(name) and not _VARIABLE.search(value):
            raise PydanticCustomError("secret", "{name}: {advice}", {"name": name, "advice": _ADVICE})
    return headers


def sounds_like_a_key(name: str) -> bool:
    """True for a name that says that a key is behind it."""
    return bool(_SECRET_NAMES.search(name))


def check_no_secrets(parameters: Iterable[str]) -> None:
    """Refuse parameters whose names say that they are keys."""
    for name in parameters:
        if sounds_like_a_key(name):
            message = f"'{name}': a key must not stand in a file; name its environment variable, api_key_env under 'models:'."
            raise PydanticCustomError("secret", "{message}", {"message": message})


SecretName = Annotated[str, AfterValidator(_is_name)]
"""``${NAME}``: the environment variable that holds a key."""
Headers = Annotated[Mapping[str, str], AfterValidator(_hold_no_keys)]
"""HTTP headers; ``${NAME}`` in one is filled from the environment when it is sent."""


def variable_of(secret: str | None) -> str | None:
    """Return the name of the variable in a ``SecretName``."""
    found = _VARIABLE.fullmatch(secret) if secret else None
    return found[1] if found else None
