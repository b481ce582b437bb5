"""Libraries that only some blocks need: an extra brings them, and ``check`` says which."""

from __future__ import annotations

from importlib.util import find_spec

from pydantic_core import PydanticCustomError


def need_extra(module: str, extra: str) -> None:
    """Make sure that a library is there; nothing is imported.

    Args:
        module: Its name in an import.
        extra: The extra of this package that brings it.

    Raises:
        PydanticCustomError: It is not installed.
    """
    if find_spec(module) is None:
        message = f"needs the package '{module}', which is not installed: pip install 'sdg-prefect[{extra}]'."
        raise PydanticCustomError("extra", "{message}", {"message": message})
