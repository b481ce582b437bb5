"""Frozen values and the hashes of their content, from which every key is made."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value that a user wrote: strict, immutable, documented by the strings under its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


def canonical(value: Any) -> bytes:
    """Write a JSON-like value in the one way that equal values share: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode(
        "utf-8", "surrogatepass"
    )


def digest(*parts: Any, size: int = 16) -> str:
    """Hash JSON-like parts to a hex string of ``2 * size`` characters (BLAKE2b, RFC 7693)."""
    return hashlib.blake2b(canonical(parts), digest_size=size).hexdigest()
