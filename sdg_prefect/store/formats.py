"""The kinds of files that rows are read from and written to, told by the end of their names."""

from __future__ import annotations

import os
from enum import Enum


class Format(Enum):
    """A kind of file or folder that holds rows."""

    JSON_LINES = "JSON lines"
    JSON = "JSON"
    CSV = "CSV"
    TSV = "TSV"
    PARQUET = "Parquet"
    ARROW_FILE = "Arrow file"
    ARROW_FOLDER = "Arrow folder"
    DOCUMENT = "document"
    """A text as a whole, which is one row."""

    @property
    def is_delimited(self) -> bool:
        """True where every value is written as text between delimiters."""
        return self in (Format.CSV, Format.TSV)

    @property
    def delimiter(self) -> str:
        """What stands between two values of a delimited file."""
        return "\t" if self is Format.TSV else ","


_BY_EXTENSION = {
    ".jsonl": Format.JSON_LINES,
    ".ndjson": Format.JSON_LINES,
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".parquet": Format.PARQUET,
    ".arrow": Format.ARROW_FILE,
    **dict.fromkeys(
        (".txt", ".md", ".markdown", ".pdf", ".docx", ".pptx", ".xlsx", ".html", ".htm"),
        Format.DOCUMENT,
    ),
}
_COMPRESSIBLE = (Format.JSON_LINES, Format.JSON, Format.CSV, Format.TSV)

READABLE = (
    "Seeds are read from .jsonl, .ndjson, .json, .csv, .tsv (each also .gz), .parquet, an Arrow folder, hf:name, "
    "or from documents: .txt, .md, .pdf, .docx, .pptx, .xlsx, .html."
)
WRITABLE = "Rows are written to .jsonl, .ndjson, .json, .csv, .tsv (each also .gz), .parquet or an Arrow folder (end it in /)."


def is_compressed(path: str) -> bool:
    """True for the name of a gzip file."""
    return path.lower().endswith(".gz")


def extension(path: str) -> str:
    """Return the end of a name that tells its kind, such as ``.jsonl`` or ``.csv.gz``; empty where there is none."""
    stem, end = os.path.splitext(path.rstrip("/").lower())
    return os.path.splitext(stem)[1] + end if end == ".gz" else end


def format_of(path: str) -> Format | None:
    """Return the kind of a file by its name; None where it is not one of ours."""
    found = _BY_EXTENSION.get(extension(path).removesuffix(".gz"))
    return None if is_compressed(path) and found not in _COMPRESSIBLE else found


def output_format_of(target: str) -> Format | None:
    """Return the kind that is written to a target: a name without an extension, or ending in ``/``, is an Arrow folder."""
    if target.endswith("/") or not extension(target):
        return Format.ARROW_FOLDER
    found = format_of(target)
    if found is Format.DOCUMENT:
        return None
    return Format.ARROW_FOLDER if found is Format.ARROW_FILE else found
