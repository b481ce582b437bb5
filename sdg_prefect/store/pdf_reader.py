"""The text of a PDF as its text layer has it, page by page, without models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any

from sdg_prefect.store.pages import Text, text_of_pages
from sdg_prefect.store.places import Found

_ONE_AT_A_TIME = Lock()
"""PDFium is not made for several threads."""
_DIVIDED = re.compile(r"[\x02\ufffe](?=(\w)?)")
"""What PDFium puts in the place of a hyphen and the end of the line after it."""
_NO_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f]")
_SCAN = (
    "docling reads the letters of pictures: install 'sdg-prefect[docling]' and give '--pdf layout'. Or give the file a text "
    "layer with a program such as ocrmypdf, or leave it out."
)
_DECRYPT = "Save it without one, such as with: qpdf --password=PASSWORD --decrypt IN.pdf OUT.pdf"


@contextmanager
def opened_pdf(found: Found, content: bytes) -> Iterator[Any]:
    """Open a PDF by PDFium, which nobody else uses meanwhile.

    Raises:
        InputError: It cannot be read, or wants a password.
    """
    import pypdfium2 as pdfium

    with _ONE_AT_A_TIME:
        try:
            document = pdfium.PdfDocument(content)
        except pdfium.PdfiumError as error:
            if "password" in str(error).lower():
                raise found.problem("is a PDF that opens with a password only.", _DECRYPT) from error
            raise found.problem("is not a PDF that can be read: it is damaged, cut off, or of another kind.") from error
        with closing(document):
            yield document


def read_pdf_text(found: Found, content: bytes) -> Text:
    """Return the text of a PDF: lines as they stand on the page, an empty line between pages.

    Its order is the one in which the file draws it, which most programs make that of reading, also where there are columns.
    Words that are divided at the end of a line are joined. Pages without text, as of a scan, come with a warning.

    Raises:
        InputError: It cannot be read, wants a password, or has no text, as a scan.
    """
    with opened_pdf(found, content) as document:
        texts = [_page_text(found, document, number) for number in range(len(document))]
        whole = "\n\n".join(text for text in texts if text)
        return text_of_pages(found, document, texts, whole, "'--pdf text'", _SCAN)


def _page_text(found: Found, document: Any, number: int) -> str:
    import pypdfium2 as pdfium

    try:
        with closing(document[number]) as page, closing(page.get_textpage()) as layer:
            text = str(layer.get_text_bounded())
    except pdfium.PdfiumError as error:
        raise found.problem(f"is a damaged PDF: page {number + 1} of {len(document)} cannot be read.") from error
    text = _DIVIDED.sub(lambda mark: "" if (mark[1] or "").islower() else "-", text.replace("\r\n", "\n"))
    return _NO_TEXT.sub("", text).strip()
