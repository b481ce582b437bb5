"""Blocks from a file or module that the command line names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from sdg_prefect.errors import FlowError, Problem


def load_own_blocks(sources: Sequence[str] | None) -> None:
    """Import files or modules, so that the blocks in them register themselves.

    Only the command line names code, never a flow file.

    Raises:
        FlowError: A source is not there, or fails to import.
    """
    for source in sources or ():
        try:
            _load(source)
        except FlowError:
            raise
        except Exception as error:
            reason = f"cannot be imported: {type(error).__name__}: {str(error).rstrip('.')}."
            raise FlowError([Problem(reason, "", f"--blocks {source}", _line(source, error))]) from error


def _line(source: str, error: Exception) -> int:
    """Return the line of a file of blocks in which an error was raised; 0 where it was not."""
    path = str(Path(source).absolute())
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 0
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else 0


def _load(source: str) -> None:
    path = Path(source)
    if path.suffix != ".py":
        importlib.import_module(source)
        return
    if not path.is_file():
        raise FlowError(f"--blocks: the file '{source}' does not exist.")
    name = f"sdg_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FlowError(f"--blocks: '{source}' is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
