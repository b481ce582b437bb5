"""Embeddings as the text of a completion: numbers of 32 bits in base64, an eighth of what JSON would take, and exact."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def pack(vector: Sequence[float] | str) -> str:
    """Return the text that stands for a vector.

    Args:
        vector: Its numbers, or such a text, as servers send it that were asked for base64.

    Raises:
        ValueError: It has no numbers, or one that is not finite.
    """
    numbers: Sequence[float] = unpack(vector).tolist() if isinstance(vector, str) else vector
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    if not numbers or not all(isfinite(number) for number in numbers):
        raise ValueError("a vector without numbers, or with one that is not finite")
    return base64.b64encode(packed).decode()


def unpack(text: str) -> npt.NDArray[np.float32]:
    """Return the vector that a text stands for.

    Raises:
        ValueError: It stands for none.
    """
    import numpy as np

    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not a vector in base64") from error
    return np.frombuffer(data, "<f4")


def read_vectors(reply: Any) -> tuple[str, ...]:
    """Return the vectors in a reply of the embeddings protocol, packed, in the order of the texts.

    Raises:
        ValueError: There is none, or one is malformed.
    """
    found = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(found, list) or not found:
        raise ValueError("it has no embeddings")
    try:
        ordered = sorted(found, key=lambda one: one.get("index") or 0)
        return tuple(pack(one["embedding"]) for one in ordered)
    except (KeyError, TypeError, AttributeError, struct.error, OverflowError) as error:
        raise ValueError(f"an embedding is malformed: {error}") from error
