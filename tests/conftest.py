"""A Prefect server of the tests' own, started by the first test that needs one and ended with the last."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Keep the managed Prefect server of the tests out of the user's folders; all workers share one."""
    if not hasattr(config, "workerinput"):
        os.environ["SDG_PREFECT_HOME"] = tempfile.mkdtemp(prefix="sdg-tests-")
    os.environ["SDG_PREFECT_SERVER_PORT"] = "4290"
    for name in ("PREFECT_API_URL", "PREFECT_API_KEY", "OPENAI_API_KEY"):
        os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the server and remove its folder."""
    if hasattr(config, "workerinput"):
        return
    from sdg_prefect.engine.server import stop

    stop()
    shutil.rmtree(os.environ["SDG_PREFECT_HOME"], ignore_errors=True)
