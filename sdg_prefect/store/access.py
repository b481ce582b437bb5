"""Credentials for places on S3 that somebody handed over; all other places take those of the environment."""

from __future__ import annotations

from typing import Any

_HANDED: dict[str, dict[str, Any]] = {}


def hand_over(place: str, options: dict[str, Any]) -> None:
    """Keep in this process how a place is opened.

    Args:
        place: An address such as ``s3://bucket/prefix``; it counts for everything below.
        options: Those of s3fs: ``key``, ``secret``, ``token``, ``endpoint_url`` and others.
    """
    _HANDED[place.rstrip("/")] = options


def access_to(uri: str) -> dict[str, Any]:
    """Return the options for the nearest place above an address; none where nobody handed any over."""
    above = [place for place in _HANDED if uri == place or uri.startswith((f"{place}/", f"{place}."))]
    return _HANDED[max(above, key=len)] if above else {}
