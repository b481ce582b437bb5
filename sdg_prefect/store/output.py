"""Writing the rows of a finished run where the user wants them: whole, or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.errors import FlowError, Problem, StoreError
from sdg_prefect.rows import ROW_ID
from sdg_prefect.store.columns import conformed, unified_schema
from sdg_prefect.store.formats import WRITABLE, Format, extension, is_compressed, output_format_of
from sdg_prefect.store.hub import PREFIX
from sdg_prefect.store.places import S3, RemoteDisk, explain, folder_obstacle, lasting_failure
from sdg_prefect.store.replacing import folder_beside, put_files, replacing_file
from sdg_prefect.store.root import is_remote, open_filesystem
from sdg_prefect.store.writers import write_file, write_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_output", "unified_schema", "write_output"]

_FOLDER_FILE = re.compile(r"data-(?:[0-9a-f]{16}-)?\d+-of-\d+\.arrow|dataset_info\.json|state\.json")
"""The names in a folder that we or ``save_to_disk`` wrote."""


def check_output(target: str) -> None:
    """Find out before the run whether its rows can be written to a target.

    Raises:
        FlowError: The kind is unknown, or something stands in the way. What would be lost is never overwritten.
    """
    if message := _obstacle(target):
        raise FlowError([Problem(*message, target)])


def write_output(target: str, tables: Iterable[pa.Table], schema: pa.Schema, keep_ids: bool = False) -> int:
    """Write rows to a file, an Arrow folder or ``s3://``, replacing what is there once everything is written.

    Args:
        target: Where; the end of the name tells the kind.
        tables: The rows, as they come. Columns that one lacks are null.
        schema: The columns in their order, with types that hold those of all tables.
        keep_ids: Write the row ids too.

    Returns:
        The number of rows written.

    Raises:
        FlowError: As ``check_output``.
        StoreError: The rows cannot be written.
    """
    import pyarrow as pa

    check_output(target)
    kept = pa.schema([pa.field(field.name, field.type) for field in schema if keep_ids or field.name != ROW_ID])
    try:
        rows = (conformed(table, kept) for table in tables)
        if is_remote(target):
            return _write_remote(target, rows, kept)
        return _write_local(Path(target.removeprefix("file://")).expanduser().resolve(), _format(target), rows, kept)
    except Exception as error:
        failure = explain(error)
        if failure is None:
            raise
        reason, hint = failure
        raise StoreError(f"cannot write {target}: {reason}.", hint) from error


def _format(target: str) -> Format:
    """Return the kind of a target that was checked."""
    return output_format_of(target) or Format.ARROW_FOLDER


def _obstacle(target: str) -> tuple[str, str] | None:
    """Say why a target cannot be written, and what to do."""
    if not target.strip():
        return "the output has no name.", "Name a file, such as out.jsonl."
    if target.startswith(PREFIX):
        return "a dataset of the Hub cannot be written.", "Write a .parquet file and upload it."
    kind = output_format_of(target)
    if kind is None:
        return f"'{extension(target)}' is not a known kind of file.", WRITABLE
    return _remote_obstacle(target, kind) if is_remote(target) else _local_obstacle(target, kind)


def _local_obstacle(target: str, kind: Format) -> tuple[str, str] | None:
    path = Path(target.removeprefix("file://")).expanduser()
    if kind is Format.ARROW_FOLDER and path.is_dir():
        if any(not _is_ours(name) for name in os.listdir(path)):
            return "is a folder with other files in it.", "Name a new folder, or a file in it such as out.jsonl."
    elif kind is Format.ARROW_FOLDER and path.exists():
        return "is a file, and an Arrow folder is to be written.", WRITABLE
    elif path.is_dir():
        return "is a folder.", "Name a file in it, or remove it."
    reason = folder_obstacle(path)
    return None if reason is None else (f"cannot be written: {reason}.", "Name another folder.")


def _remote_obstacle(target: str, kind: Format) -> tuple[str, str] | None:
    if not target.startswith(S3):
        return "is not a known kind of address.", "Name a local path or an s3:// address."
    bucket, _, key = target.removeprefix(S3).partition("/")
    if not bucket or not key.strip("/"):
        return "names no object in a bucket.", "Write s3://bucket/path/out.jsonl."
    try:
        disk = RemoteDisk(open_filesystem(target, is_patient=False)[0])
        if not disk.kind(S3 + bucket):
            return f"there is no bucket '{bucket}'.", ""
        if kind is Format.ARROW_FOLDER and any(not _is_ours(name) for name in disk.names(target.rstrip("/"))):
            return "is a folder with other files in it.", "Name a new folder, or a file in it such as out.jsonl."
    except PermissionError:
        # Who may put an object need not be allowed to list the bucket.
        return None
    except Exception as error:  # noqa: BLE001 - raised again where it does not come from S3
        failure = lasting_failure(error)
        return None if failure is None else (f"cannot be written: {failure[0]}.", failure[1])
    return None


def _is_ours(name: str) -> bool:
    return _FOLDER_FILE.fullmatch(name) is not None


def _write_local(path: Path, kind: Format, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind is not Format.ARROW_FOLDER:
        with replacing_file(path) as stream:
            return write_file(kind, stream, tables, schema, is_compressed(path.name))
    with folder_beside(path) as fresh:
        written = write_folder(fresh, tables, schema)
        put_files(fresh, path, written.names)
    for name in set(os.listdir(path)) - set(written.names):
        (path / name).unlink(missing_ok=True)
    return written.rows


def _write_remote(target: str, tables: Iterable[pa.Table], schema: pa.Schema) -> int:
    """Write everything to a local file first: an upload begins when nothing else can fail."""
    disk, kind = RemoteDisk(open_filesystem(target)[0]), _format(target)
    workspace = Path(tempfile.mkdtemp(prefix="sdg-"))
    try:
        rows = workspace / "rows"
        if kind is not Format.ARROW_FOLDER:
            with open(rows, "wb") as stream:
                count = write_file(kind, stream, tables, schema, is_compressed(target))
            disk.filesystem.put_file(str(rows), target)
            return count
        rows.mkdir()
        written = write_folder(rows, tables, schema)
        folder, old = target.rstrip("/"), disk.names(target.rstrip("/"))
        for name in written.names:
            disk.filesystem.put_file(str(rows / name), f"{folder}/{name}")
        for name in set(old) - set(written.names):
            disk.filesystem.rm_file(f"{folder}/{name}")
        return written.rows
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
