"""Documents as seeds: each file is a row with its name and its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Literal

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.store.docling_reader import read_by_docling
from sdg_prefect.store.formats import extension
from sdg_prefect.store.gathering import Rows
from sdg_prefect.store.pages import Text
from sdg_prefect.store.pdf_reader import read_pdf_text
from sdg_prefect.store.places import BOM, UTF8, Found

COLUMNS = ("file", "document")
"""The columns of such seeds: the name of the file, with folders where a pattern looks into several, and its text."""
TEXTS = (".txt", ".md", ".markdown")
"""Documents that are text already."""

PdfReading = Literal["layout", "text"]
"""How PDF is read: by docling and its models, or from its text layer alone."""
Reader = Callable[[Found, bytes], Text]
"""Returns what a document says: of a file and its content."""

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
_LAYOUT = "Install it: pip install 'sdg-prefect[docling]', or give '--pdf text', which takes the plain text."
_OFFICE = "Install what reads it: pip install 'sdg-prefect[office]'."


def read_document(found: Found, pdf: PdfReading | None = None) -> Rows:
    """Return the one row of a document. One without text gives a row with an empty text, and a warning.

    Text is taken as it is. Where docling is installed it reads all else; else kreuzberg makes Markdown of office documents and
    pages, and PDFium takes the plain text of PDF.

    Args:
        found: The file.
        pdf: How PDF is read; by docling where it is installed, if not given.

    Raises:
        InputError: It is not UTF-8, or cannot be read, or what reads it is not installed.
    """
    read = _reader_of(found, pdf)
    with found.open() as stream:
        content = stream.read()
    said = read(found, content)
    doubt = said.doubt
    if not said.text.strip():
        doubt = Problem("says nothing, or by pictures alone: its row has no text.", "Leave it out.", found.path, warning=True)
    row = dict(zip(COLUMNS, (found.name, said.text), strict=True))
    return Rows([row], found.path, [1], by_line=False, doubt=doubt)


def check_readers(files: Iterable[Found], pdf: PdfReading | None = None) -> None:
    """Raise where what reads some of the documents is not installed; none is opened.

    Raises:
        InputError: The first file of each kind that nothing reads.
    """
    problems: list[Problem] = []
    for found in {extension(one.path): one for one in reversed(list(files))}.values():
        try:
            _reader_of(found, pdf)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def pdf_reading(pdf: PdfReading | None) -> PdfReading:
    """Return how PDF is read on this machine."""
    return pdf or ("text" if find_spec("docling") is None else "layout")


def _reader_of(found: Found, pdf: PdfReading | None) -> Reader:
    kind = extension(found.path)
    if kind in TEXTS:
        return lambda found, content: Text(_decoded(found, content))
    if kind == _PDF:
        if pdf_reading(pdf) == "layout":
            if find_spec("docling") is None:
                raise found.problem("is a PDF, and docling, which finds its layout, is not installed.", _LAYOUT)
            return _read_by_docling
        if find_spec("pypdfium2") is None:
            raise found.problem("is a PDF, which nothing that is installed can read.", _PLAIN_PDF)
        return read_pdf_text
    if find_spec("docling") is not None:
        return _read_by_docling
    if find_spec("kreuzberg") is None:
        raise found.problem("is an office document or a page, which nothing that is installed can read.", _OFFICE)
    return _read_by_kreuzberg


def _read_by_docling(found: Found, content: bytes) -> Text:
    is_page = extension(found.path) in _PAGES
    return read_by_docling(found, _decoded(found, content).encode() if is_page else content)


def _read_by_kreuzberg(found: Found, content: bytes) -> Text:
    from kreuzberg import ExtractionConfig, KreuzbergError, extract_bytes_sync

    kind = extension(found.path)
    if kind in _PAGES:
        # What stands in its head would come out as headings.
        content = _HEAD.sub("", _decoded(found, content)).encode()
    # Its cache is a folder where the program runs, and recognizing letters in pictures needs models from the network.
    config = ExtractionConfig(output_format="markdown", use_cache=False, disable_ocr=True)
    try:
        return Text(str(extract_bytes_sync(content, _KINDS[kind], config=config).content))
    except KreuzbergError as error:
        raise found.problem(f"is not a document that can be read: {error}.") from error


def _decoded(found: Found, content: bytes) -> str:
    try:
        return content.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise found.problem("not UTF-8 text.", UTF8, content.count(b"\n", 0, error.start) + 1) from error
