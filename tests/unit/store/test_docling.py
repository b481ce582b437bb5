"""Documents through docling, where it is installed: it brings gigabytes, so that the usual environment has none."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sdg_prefect.errors import InputError
from tests.office import docx_saying, xlsx_saying
from tests.unit.store.test_documents import pdf_saying, rows

installed = pytest.mark.skipif(find_spec("docling") is None, reason="docling is not installed")


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
@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.pdf"])
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
