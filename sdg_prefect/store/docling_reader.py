"""Office documents, pages and PDF through docling."""

from __future__ import annotations

import io
import logging
import re
from functools import cache
from typing import Any

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.store.formats import extension
from sdg_prefect.store.pages import Text, text_of_pages
from sdg_prefect.store.pdf_reader import opened_pdf
from sdg_prefect.store.places import Found

_WHOLE = "Install the rest: pip install 'sdg-prefect[docling]', or uninstall it, and others will read what they can."
_MODELS = (
    "It needs them for PDF: let this machine reach huggingface.co once, or run 'docling-tools models download' on one that can, "
    "and name the folder in DOCLING_ARTIFACTS_PATH. Or give '--pdf text', which takes the plain text without models."
)
_PICTURES = (
    "It reads letters where its layout model finds text. Look at these pages: if they say something, leave the file out, or give "
    "it a text layer with a program such as ocrmypdf."
)
_CONTENT_HASH = re.compile(r"(?: with hash)? \b[0-9a-f]{64}\b|: Failed to load document with key key=[0-9a-f]{64}")


class DoclingUnfit(InputError):
    """docling or its models are not there as a whole, so that it can read no document of the kind."""


def read_by_docling(found: Found, content: bytes) -> Text:
    """Return the Markdown that docling makes of a document. Pages of a PDF that it reads nothing from come with a warning.

    Raises:
        DoclingUnfit: docling or its models are not there as a whole.
        InputError: It cannot be read, or a page of it.
    """
    is_pdf = extension(found.path) == ".pdf"
    try:
        from docling.datamodel.base_models import DocumentStream
        from docling.exceptions import BaseError

        if is_pdf:
            with opened_pdf(found, content):  # which tells damage from a password
                pass
        converter = _pdf_converter(found) if is_pdf else _converter()
    except ImportError as error:  # docling-slim brings the package without most of what it needs
        message = f"cannot be read by docling, of which only a part is installed: {error}."
        raise DoclingUnfit([Problem(message, _WHOLE, found.path)]) from error
    try:
        converted = converter.convert(DocumentStream(name=found.path.rsplit("/", 1)[-1], stream=io.BytesIO(content)))
    except BaseError as error:
        said = _CONTENT_HASH.sub("", str(error)).rpartition(" Errors: ")[2].rstrip(".")
        raise found.problem(f"is not a document that can be read: docling says: {said}.") from error
    except (ValueError, RuntimeError, OSError) as error:
        raise found.problem(f"cannot be read by docling: {_first_line(error)}.") from error
    if converted.errors:  # it goes on without the pages that it failed at
        where = {error.page_no for error in converted.errors}
        pages = f"page {', '.join(map(str, sorted(where)))} of it" if None not in where else "a part of it"
        raise found.problem(f"cannot be read as a whole: docling failed at {pages}: {converted.errors[0].error_message}.")
    whole = str(converted.document.export_to_markdown())
    if not is_pdf:
        return Text(whole)
    with opened_pdf(found, content) as document:
        there, count = len(converted.document.pages), len(document)
        if there != count:
            raise found.problem(f"is a damaged PDF: docling finds {there} of its {count} pages.")
        return text_of_pages(found, document, _texts_of_pages(converted.document, count), whole, "docling", _PICTURES)


def _texts_of_pages(document: Any, count: int) -> list[str]:
    """Return what docling has read of each page; a passage that goes on after the end of a page is on both."""
    texts = [""] * count
    for item, _ in document.iterate_items():
        said = str(item.export_to_markdown(document)) if item.label == "table" else str(getattr(item, "text", ""))
        for number in {place.page_no for place in getattr(item, "prov", ())}:
            texts[number - 1] += said.strip()
    return texts


@cache
def _converter() -> Any:
    """Make the converter once: with each one docling loads its models anew."""
    from docling.document_converter import DocumentConverter

    logging.getLogger("docling").setLevel(logging.CRITICAL)  # it logs what it raises
    return DocumentConverter()


def _pdf_converter(found: Found) -> Any:
    """Return the converter with its models for PDF loaded.

    Raises:
        DoclingUnfit: They cannot be fetched, their folder is not there, or it lacks something.
        ImportError: A part of docling is not installed.
    """
    from docling.datamodel.base_models import InputFormat
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    converter = _converter()
    try:
        converter.initialize_pipeline(InputFormat.PDF)
    except ImportError:
        raise
    except Exception as error:  # whatever their libraries raise, models that cannot be loaded are not there
        message = f"cannot be read, since docling has no models for it: {_first_line(error)}."
        raise DoclingUnfit([Problem(message, _MODELS, found.path)]) from error
    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it warns of each picture without letters
    return converter


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".") or type(error).__name__
