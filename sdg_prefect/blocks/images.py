"""Images in chat messages, whose contents then have parts as OpenAI has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks.offered_tools import Unfit

if TYPE_CHECKING:
    import pyarrow as pa


_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S")
_LONGEST = 60
"""Letters of what is no address that a message shows."""


def parts_type() -> pa.DataType:
    """Return the type of a column of messages whose contents have parts."""
    import pyarrow as pa

    url = pa.struct([("url", pa.string())])
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("image_url", url)])
    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(part))]))


def with_images(messages: Sequence[Mapping[str, Any]], images: Any) -> list[Mapping[str, Any]]:
    """Give the contents parts, and put the images into the first message of the user.

    Raises:
        Unfit: Something is not the address of an image.
    """
    addresses = images if isinstance(images, list) else [images]
    shown = [{"type": "image_url", "text": None, "image_url": {"url": _address(one)}} for one in addresses if one]
    first = next(number for number, message in enumerate(messages) if message["role"] == "user")
    made: list[Mapping[str, Any]] = []
    for number, message in enumerate(messages):
        parts = [{"type": "text", "text": message["content"], "image_url": None}] if message["content"] else []
        parts += shown if number == first else []
        if parts:
            made.append({"role": message["role"], "content": parts})
    return made


def _address(image: Any) -> str:
    if not isinstance(image, str) or not _ADDRESS.match(image):
        said = repr(image)
        raise Unfit(f"{said if len(said) < _LONGEST else said[:_LONGEST] + '…'} is not the address of an image.")
    return image
