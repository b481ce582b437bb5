"""Documents as seeds: each file is a row with its name and its text."""

from __future__ import annotations

import io
import re
from importlib.util import find_spec

from sdg_prefect.store.docling_reader import read_by_docling
from sdg_prefect.store.formats import extension
from sdg_prefect.store.gathering import Rows
from sdg_prefect.store.places import BOM, UTF8, Found

COLUMNS = ("file", "document")
"""The columns of such seeds: the name of the file, and its text."""
TEXTS = (".txt", ".md", ".markdown")
"""Documents that are text already."""

_PDF = ".pdf"
_PAGES = (".html", ".htm")
_KINDS = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".html": "text/html",
    ".htm": "text/html",
}
_HEAD = re.compile(r"<head\b.*?</head\s*>", re.IGNORECASE | re.DOTALL)
_PLAIN_PDF = "Install what reads PDF: pip install 'sdg-prefect[pdf]', or 'sdg-prefect[docling]' for tables, columns and scans."
_OFFICE = "Install what reads it: pip install 'sdg-prefect[office]'."


def read_document(found: Found) -> Rows:
    """Return the one row of a document. A file without text gives a row with an empty one.

    Text is taken as it is. kreuzberg makes Markdown of office documents and pages, and pypdf takes the plain text of PDF; where
    docling is installed it does both.

    Raises:
        InputError: It is not UTF-8, or cannot be read, or what reads it is not installed.
    """
    with found.open() as stream:
        content = stream.read()
    name = found.path.rsplit("/", 1)[-1]
    return Rows([dict(zip(COLUMNS, (name, _text(found, name, content)), strict=True))], found.path, [1], by_line=False)


def _text(found: Found, name: str, content: bytes) -> str:
    kind = extension(name)
    if kind in TEXTS:
        return _decoded(found, content)
    if kind in _PAGES:
        content = _decoded(found, content).encode()
    if find_spec("docling") is not None:
        return read_by_docling(found, name, content)
    if kind in _KINDS:
        if find_spec("kreuzberg") is None:
            raise found.problem("is an office document or a page, which nothing that is installed can read.", _OFFICE)
        return _by_kreuzberg(found, kind, content)
    if find_spec("pypdf") is None:
        raise found.problem("is a PDF, which nothing that is installed can read.", _PLAIN_PDF)
    return _by_pypdf(found, content)


def _decoded(found: Found, content: bytes) -> str:
    try:
        return content.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise found.problem("not UTF-8 text.", UTF8, content.count(b"\n", 0, error.start) + 1) from error


def _by_kreuzberg(found: Found, kind: str, content: bytes) -> str:
    from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync

    if kind in _PAGES:
        # What stands in its head would come out as headings.
        content = _HEAD.sub("", content.decode()).encode()
    # Its cache is a folder where the program runs, and recognizing letters in pictures needs models from the network.
    config = ExtractionConfig(output_format="markdown", use_cache=False, disable_ocr=True)
    try:
        return str(extract_bytes_sync(content, _KINDS[kind], config=config).content)
    except KreuzbergError as error:
        raise found.problem(f"is not a document that can be read: {error}.") from error


def _by_pypdf(found: Found, content: bytes) -> str:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        return "\n\n".join(page.extract_text().strip() for page in PdfReader(io.BytesIO(content)).pages)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise found.problem(f"is not a PDF that can be read: {error}.") from error
