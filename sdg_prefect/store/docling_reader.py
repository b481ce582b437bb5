"""Office documents, pages and PDF through docling."""

from __future__ import annotations

import io
import logging
import re
from functools import cache
from typing import Any

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.store.places import Found

_WHOLE = "Install the rest: pip install 'sdg-prefect[docling]', or uninstall it, and others will read what they can."
_MODELS = (
    "It needs them for PDF: let this machine reach huggingface.co once, or run 'docling-tools models download' on one that can, "
    "and name the folder in DOCLING_ARTIFACTS_PATH. Or give '--pdf text', which takes the plain text without models."
)
_CONTENT_HASH = re.compile(r"(?: with hash)? \b[0-9a-f]{64}\b|: Failed to load document with key key=[0-9a-f]{64}")


class DoclingUnfit(InputError):
    """docling or its models are not there as a whole, so that it can read no document of the kind."""


def read_by_docling(found: Found, name: str, content: bytes) -> str:
    """Return the Markdown that docling makes of a document.

    Raises:
        DoclingUnfit: docling or its models are not there as a whole.
        InputError: It cannot be read.
    """
    try:
        from docling.datamodel.base_models import DocumentStream
        from docling.exceptions import BaseError

        converter = _converter()
    except ImportError as error:  # docling-slim brings the package without most of what it needs
        message = f"cannot be read by docling, of which only a part is installed: {error}."
        raise DoclingUnfit([Problem(message, _WHOLE, found.path)]) from error
    try:
        converted = converter.convert(DocumentStream(name=name, stream=io.BytesIO(content)))
        return str(converted.document.export_to_markdown())
    except BaseError as error:
        said = _CONTENT_HASH.sub("", str(error)).rpartition(" Errors: ")[2].rstrip(".")
        raise found.problem(f"is not a document that can be read: docling says: {said}.") from error
    except (FileNotFoundError, RuntimeError) as error:  # where models cannot be fetched, or their folder is not there
        said = str(error).split("\n", 1)[0].rstrip(".")
        message = f"cannot be read, since docling has no models for it: {said}."
        raise DoclingUnfit([Problem(message, _MODELS, found.path)]) from error
    except (ValueError, OSError) as error:
        raise found.problem(f"cannot be read by docling: {error}.") from error


@cache
def _converter() -> Any:
    """Make the converter once: with each one docling loads its models anew."""
    from docling.document_converter import DocumentConverter

    logging.getLogger("docling").setLevel(logging.CRITICAL)  # it logs what it raises
    return DocumentConverter()
