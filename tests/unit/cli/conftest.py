"""The command line, in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from sdg_prefect.cli.app import main

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Told:
    """Give a command; return its exit code, stdout and stderr."""

    def tell(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sdg-prefect", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return tell
