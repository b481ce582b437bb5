"""Documents through docling, where it is installed: it brings gigabytes, so that the usual environment has none.

What needs models runs where ``make test-docling`` has made some.
"""

from __future__ import annotations

import difflib
import io
import os
import random
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from sdg_prefect.errors import InputError
from sdg_prefect.store.seeds import read_seeds
from tests.docling_models import passages
from tests.office import docx_saying, xlsx_saying
from tests.pdf import locked, pdf_drawing, pdf_saying
from tests.unit.store.test_documents import rows

MODELS = Path(__file__).parents[3] / "build" / "docling-models"

installed = pytest.mark.skipif(find_spec("docling") is None, reason="docling is not installed")
taught = pytest.mark.skipif(find_spec("docling") is None or not MODELS.is_dir(), reason="only `make test-docling` has models")


def read(folder: Path, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    (row,) = rows(folder / name)
    return row["document"]


@installed
def test_what_needs_no_models_becomes_markdown(tmp_path: Path) -> None:
    assert read(tmp_path, "a.docx", docx_saying("Bees", "They dance. 🦜")).split("\n\n")[-1] == "They dance. 🦜"
    assert "bee" in read(tmp_path, "b.xlsx", xlsx_saying("Legs", ("kind", "legs"), ("bee", "6")))
    assert read(tmp_path, "c.html", "<title>No heading</title><h1>Größe</h1><ul><li>one</ul>".encode()) == "# Größe\n\n- one"


@installed
@pytest.mark.parametrize("name", ["a.docx", "a.pptx"])
def test_what_is_no_document_is_told_without_what_is_docling_s_own(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        InputError, match=rf"{name}  is not a document that can be read: docling says: [\w -]+ could not load"
    ) as told:
        read(tmp_path, name, b"PK")
    assert len(str(told.value)) < 300
    assert capfd.readouterr().err == ""


@installed
def test_a_pdf_that_cannot_be_opened_is_told_as_without_docling(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.pdf  is not a PDF that can be read: it is damaged"):
        read(tmp_path, "a.pdf", pdf_saying("Bees dance.")[:200])
    with pytest.raises(InputError, match=r"a\.pdf  is a PDF that opens with a password only\. .*qpdf"):
        read(tmp_path, "a.pdf", locked(pdf_saying("Bees dance.")))


@installed
@pytest.mark.parametrize("folder", ["nothing", "empty"])
def test_models_that_are_not_there_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    from docling.datamodel.settings import settings

    from sdg_prefect.store.docling_reader import _converter

    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(settings, "artifacts_path", tmp_path / folder)
    _converter.cache_clear()
    with pytest.raises(InputError, match=r"docling has no models for it: .*docling-tools models download"):
        read(tmp_path, "a.pdf", pdf_saying("Bees dance."))


@pytest.mark.skipif(find_spec("docling") is not None, reason="the whole of docling is installed")
def test_a_part_of_docling_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docling").mkdir()
    (tmp_path / "docling" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(InputError, match=r"of which only a part is installed: .*pip install 'sdg-prefect\[docling\]'"):
            read(tmp_path, "a.docx", b"PK")
    finally:
        sys.modules.pop("docling", None)


@pytest.fixture(scope="module")
def models() -> Iterator[None]:
    """Have docling take the models that were made for it."""
    from docling.datamodel.settings import settings

    from sdg_prefect.store.docling_reader import _converter

    before, settings.artifacts_path = settings.artifacts_path, MODELS
    _converter.cache_clear()
    yield
    settings.artifacts_path = before
    _converter.cache_clear()


def page(seed: int) -> tuple[str, str]:
    """Draw a page like those that the layout model has learned from; return what draws it, and the Markdown that it is."""
    found = passages(random.Random(seed))
    marks = ("", "## ")
    return "\n".join(one.stream for one in found), "\n\n".join(marks[one.label] + " ".join(one.lines) for one in found)


def scan(stream: str) -> bytes:
    """Write a PDF whose page is a picture of another one."""
    import pypdfium2 as pdfium

    written = io.BytesIO()
    pdfium.PdfDocument(pdf_drawing(stream))[0].render(scale=200 / 72).to_pil().save(written, "PDF", resolution=200)
    return written.getvalue()


def likeness(one: str, other: str) -> float:
    """Say how much of two texts is the same, from 0 to 1."""
    return difflib.SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


@taught
@pytest.mark.usefixtures("models")
def test_headings_and_columns_of_a_pdf_become_markdown_in_the_order_of_reading(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    streams, expected = zip(*map(page, range(1001, 1005)), strict=True)
    assert likeness(read(tmp_path, "a.pdf", pdf_drawing(*streams)), "\n\n".join(expected)) > 0.95
    assert capfd.readouterr().err == ""


@taught
@pytest.mark.usefixtures("models")
def test_letters_of_a_scan_are_read_in_their_places(tmp_path: Path) -> None:
    stream, expected = page(1002)
    assert likeness(read(tmp_path, "a.pdf", scan(stream)), expected) > 0.9


@taught
@pytest.mark.usefixtures("models")
def test_a_page_on_which_docling_reads_nothing_though_there_is_something_to_see_is_told(tmp_path: Path) -> None:
    picture = "0.6 g 100 100 400 600 re f 0.2 g 200 300 90 90 re f"
    # docling takes the last two for one passage that goes on from page to page.
    (tmp_path / "a.pdf").write_bytes(pdf_drawing(page(1001)[0], picture, "", page(2003)[0], page(2004)[0]))
    warnings: list[str] = []
    read_seeds(str(tmp_path / "a.pdf"), pdf="layout", warnings=warnings)
    (told,) = warnings
    assert "a.pdf  warning: docling finds nothing to read on page 2 of 5" in told
    (tmp_path / "b.pdf").write_bytes(pdf_drawing(picture))
    with pytest.raises(InputError, match=r"b\.pdf  is a PDF without text"):
        read_seeds(str(tmp_path / "b.pdf"), pdf="layout")


@taught
@pytest.mark.usefixtures("models")
def test_a_pdf_of_which_docling_leaves_a_page_out_is_no_seed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.pdf  is a damaged PDF: docling finds 2 of its 3 pages"):
        read(tmp_path, "a.pdf", pdf_saying("Bees dance.", "They sing.", "They hum.").replace(b"7 0 R", b"99 0 R", 1))


@taught
@pytest.mark.parametrize(
    "lacks", ["*.onnx", "model.safetensors", "preprocessor_config.json", "tableformer_accurate.safetensors", "tm_config.json"]
)
def test_a_folder_that_lacks_a_model_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    from docling.datamodel.settings import settings

    from sdg_prefect.store.docling_reader import _converter

    shutil.copytree(MODELS, tmp_path / "models", ignore=shutil.ignore_patterns(lacks), copy_function=os.symlink)
    monkeypatch.setattr(settings, "artifacts_path", tmp_path / "models")
    _converter.cache_clear()
    try:
        with pytest.raises(
            InputError, match=r"a\.pdf  cannot be read, since docling has no models for it: .*docling-tools models download"
        ) as told:
            read(tmp_path, "a.pdf", pdf_saying("Bees dance."))
    finally:
        _converter.cache_clear()
    assert len(str(told.value)) < 700
