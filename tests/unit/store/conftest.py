"""Stores of each kind."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Name a place for a store: a local folder, and a prefix on S3."""
    return str(tmp_path / "store") if request.param == "local" else f"s3://{request.getfixturevalue('bucket')}/store"
