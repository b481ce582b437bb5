"""Documents as seeds: a row for each file."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from sdg_prefect.errors import FlowError, InputError
from sdg_prefect.rows import without_ids
from sdg_prefect.store.documents import PdfReading
from sdg_prefect.store.output import check_output
from sdg_prefect.store.seeds import peek_columns, read_seeds
from tests.office import docx_saying, xlsx_saying
from tests.pdf import CURVES, PICTURE, locked, pdf_saying

office = pytest.mark.skipif(
    find_spec("kreuzberg") is None or find_spec("docling") is not None, reason="kreuzberg is not what reads office documents here"
)


def rows(source: Path | str, pdf: PdfReading | None = None) -> list[dict[str, str]]:
    found: list[dict[str, str]] = without_ids(read_seeds(str(source), pdf=pdf)).to_pylist()
    return found


def test_each_text_of_a_folder_is_a_row_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Bees\n\nThey dance.\n")
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfCows\n")
    expected = [{"file": "a.txt", "document": "Cows\n"}, {"file": "b.md", "document": "# Bees\n\nThey dance.\n"}]
    assert rows(tmp_path) == expected
    assert rows(tmp_path / "*.md") == expected[1:]
    assert peek_columns(str(tmp_path)) == ("file", "document")
    assert len(read_seeds(str(tmp_path), limit=1)) == 1


def test_files_that_a_pattern_finds_in_several_folders_have_names_that_say_in_which(tmp_path: Path) -> None:
    for name in ("in/a/read me.md", "in/b/read me.md", "in/Größe.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, "utf-8")
    assert [row["file"] for row in rows(tmp_path / "in" / "**" / "*.md")] == ["Größe.md", "a/read me.md", "b/read me.md"]
    assert [row["file"] for row in rows(tmp_path / "in" / "*.md")] == ["Größe.md"]
    assert [row["file"] for row in rows(tmp_path / "in" / "a" / "read me.md")] == ["read me.md"]


def test_what_a_folder_of_documents_has_beside_them_is_told_and_so_is_one_that_says_nothing(tmp_path: Path) -> None:
    for name in ("a.md", "b.epub", "_draft.doc", ".hidden"):
        (tmp_path / name).write_text("Bees.")
    (tmp_path / "more").mkdir()
    (tmp_path / "c.txt").write_text(" \n")
    warnings: list[str] = []
    assert len(read_seeds(str(tmp_path), warnings=warnings)) == 2
    assert warnings == [
        f"{tmp_path}/c.txt  warning: says nothing, or by pictures alone: its row has no text. Leave it out.",
        f"{tmp_path}  warning: not read of this folder: 'b.epub', 'more'. What lies in folders below is read by a pattern, such as "
        f"'{tmp_path}/**/*.md'.",
    ]
    warnings.clear()
    read_seeds(str(tmp_path / "a.md"), warnings=warnings)
    read_seeds(str(tmp_path / "*.md"), warnings=warnings)
    assert warnings == []


def test_a_text_beside_files_of_rows_is_no_seed(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("What this is.")
    (tmp_path / "seeds.jsonl").write_text('{"q": "Why?"}\n')
    assert rows(tmp_path) == [{"q": "Why?"}]


def test_the_text_of_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    (tmp_path / "bees.pdf").write_bytes(pdf_saying("Bees dance.", "", "They sing."))
    (row,) = rows(tmp_path / "bees.pdf", "text")
    assert row["document"] == "Bees dance.\n\nThey sing."


def test_a_word_that_is_divided_at_the_end_of_a_line_is_whole_again(tmp_path: Path) -> None:
    (tmp_path / "bees.pdf").write_bytes(
        pdf_saying("The dis-) Tj 0 -14 Td (tance to the) Tj 0 -14 Td (comb of North-) Tj 0 -14 Td (Rhine.")
    )
    assert rows(tmp_path / "bees.pdf", "text")[0]["document"] == "The distance to the\ncomb of North-Rhine."


def test_every_pdf_that_has_no_text_to_read_is_told_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "fine.pdf").write_bytes(pdf_saying("Bees dance."))
    (tmp_path / "cut.pdf").write_bytes(pdf_saying("Bees dance.")[:200])
    (tmp_path / "locked.pdf").write_bytes(locked(pdf_saying("Bees dance.")))
    (tmp_path / "scan.pdf").write_bytes(pdf_saying("", ""))
    with pytest.raises(InputError) as told:
        rows(tmp_path, "text")
    cut, lock, scan = told.value.problems
    assert (cut.file, cut.message) == (
        str(tmp_path / "cut.pdf"),
        "is not a PDF that can be read: it is damaged, cut off, or of another kind.",
    )
    assert (lock.file, lock.message) == (str(tmp_path / "locked.pdf"), "is a PDF that opens with a password only.")
    assert scan.message == "is a PDF without text: its 2 pages are pictures, as of a scan, or empty."
    assert "--pdf layout" in scan.hint
    for number in range(9):
        (tmp_path / f"no{number}.pdf").write_bytes(b"no PDF")
    with pytest.raises(InputError, match="and 7 more"):
        rows(tmp_path, "text")


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        (["Bees dance.", "", PICTURE, "They sing.", PICTURE, CURVES], "pages 3, 5-6 of 6"),
        (["Bees dance.", PICTURE], "page 2 of 2"),
        (["Bees dance.", f"Seen on 27 May{PICTURE}", f"Seen on 28 May{PICTURE}", "Bees dance."], "pages 2-3 of 4"),
        (["Bees dance.", "", "Left blank.", "Left blank."], None),
        ([f"Bees dance.{PICTURE}", f"They sing.{PICTURE}"], None),
    ],
    ids=["scans", "one", "stamps", "blank", "slides"],
)
def test_pages_of_which_nothing_is_read_though_there_is_something_to_see_are_told(
    tmp_path: Path, pages: list[str], told: str | None
) -> None:
    (tmp_path / "bees.pdf").write_bytes(pdf_saying(*pages))
    warnings: list[str] = []
    assert "Bees dance." in read_seeds(str(tmp_path), pdf="text", warnings=warnings).column("document")[0].as_py()
    assert len(warnings) == (told is not None)
    if told is not None:
        assert f"bees.pdf  warning: '--pdf text' finds nothing to read on {told}" in warnings[0]
        assert "--pdf layout" in warnings[0]


def test_a_scan_whose_pages_say_no_more_than_a_stamp_is_no_seed(tmp_path: Path) -> None:
    (tmp_path / "bees.pdf").write_bytes(pdf_saying(*(f"Seen on {day} May{PICTURE}" for day in range(20, 23))))
    with pytest.raises(InputError, match=r"bees\.pdf  is a PDF without text: its 3 pages are pictures"):
        rows(tmp_path, "text")


def test_of_many_pdf_with_pictures_the_first_few_are_told_one_by_one(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.pdf").write_bytes(pdf_saying("Bees dance.", PICTURE))
    warnings: list[str] = []
    read_seeds(str(tmp_path), pdf="text", warnings=warnings)
    assert warnings[5:] == [f"{tmp_path}  warning: and 4 more."]


def test_a_text_that_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"fine\n\xff\n")
    with pytest.raises(InputError, match=r"a\.txt:2  not UTF-8 text"):
        rows(tmp_path / "a.txt")


@office
def test_office_documents_and_pages_become_markdown(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(docx_saying("Bees", "They dance. 🦜", "They sing."))
    (tmp_path / "b.xlsx").write_bytes(xlsx_saying("Legs", ("kind", "legs"), ("bee", "6")))
    (tmp_path / "c.html").write_text(
        "<html><head><title>No heading</title></head><body><h1>Größe</h1><ul><li>one</ul></body></html>", "utf-8"
    )
    texts = [row["document"] for row in rows(tmp_path)]
    assert texts[0].split("\n\n") == ["## Bees", "They dance. 🦜", "They sing.\n"]
    assert [line.replace(" ", "") for line in texts[1].splitlines() if "-" not in line and line] == [
        "##Legs",
        "|kind|legs|",
        "|bee|6|",
    ]
    assert texts[2] == "# Größe\n\n- one\n"


@office
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.docx", b"PK", "is not a document that can be read: ParsingError: DOCX"),
        ("a.xlsx", docx_saying("Bees"), "is not a document that can be read"),
        ("a.html", "<p>Größe</p>".encode("latin-1"), r"a\.html:1  not UTF-8 text"),
    ],
    ids=["cut", "other", "letters"],
)
def test_an_office_document_that_is_none_is_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        rows(tmp_path / name)


def test_what_reads_a_document_is_named_where_it_is_missing_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("docling", "kreuzberg", "pypdfium2"):
        monkeypatch.setitem(sys.modules, module, None)
    for name, extra in (("a.docx", "office"), ("a.htm", "office"), ("a.pdf", "pdf"), ("b.pdf", "pdf")):
        (tmp_path / name).write_bytes(b"PK")
        with pytest.raises(InputError, match=rf"pip install 'sdg-prefect\[{extra}\]'"):
            rows(tmp_path / name)
    with pytest.raises(InputError) as told:
        peek_columns(str(tmp_path))
    assert sorted(Path(problem.file).name for problem in told.value.problems) == ["a.docx", "a.htm", "a.pdf"]
    with pytest.raises(InputError, match=r"docling, which finds its layout, is not installed.*--pdf text"):
        peek_columns(str(tmp_path / "a.pdf"), "layout")


def test_rows_are_not_written_as_documents() -> None:
    with pytest.raises(FlowError, match=r"'\.md' is not a known kind of file"):
        check_output("out.md")
