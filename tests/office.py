"""Office documents with as little in them as their readers need."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_OFFICE = "http://schemas.openxmlformats.org"
_RELATIONS = f"{_OFFICE}/officeDocument/2006/relationships"


def _packed(parts: Mapping[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return packed.getvalue()


def _related(*targets: str) -> str:
    """Say what belongs to a part, each with its kind."""
    said = "".join(
        f'<Relationship Id="r{number}" Type="{_RELATIONS}/{target.partition(" ")[0]}" Target="{target.partition(" ")[2]}"/>'
        for number, target in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_OFFICE}/package/2006/relationships">{said}</Relationships>'


def _types(**parts: str) -> str:
    said = "".join(
        f'<Override PartName="/{name}" ContentType="application/vnd.openxmlformats-officedocument.{kind}+xml"/>'
        for name, kind in parts.items()
    )
    rels = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    return f'<Types xmlns="{_OFFICE}/package/2006/content-types">{rels}<Default Extension="xml" ContentType="application/xml"/>{said}</Types>'


def docx_saying(heading: str, *texts: str) -> bytes:
    """Write a text document."""
    style = '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>'
    body = "".join(
        f"<w:p>{'' if number else style}<w:r><w:t>{text}</w:t></w:r></w:p>" for number, text in enumerate((heading, *texts))
    )
    return _packed(
        {
            "[Content_Types].xml": _types(**{"word/document.xml": "wordprocessingml.document.main"}),
            "_rels/.rels": _related("officeDocument word/document.xml"),
            "word/document.xml": f'<w:document xmlns:w="{_OFFICE}/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>',
        }
    )


def xlsx_saying(sheet: str, *rows: tuple[str, ...]) -> bytes:
    """Write a workbook with one sheet."""
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'
    cells = "".join(f"<row>{''.join(map(cell.format, row))}</row>" for row in rows)
    main = f"{_OFFICE}/spreadsheetml/2006/main"
    return _packed(
        {
            "[Content_Types].xml": _types(
                **{"xl/workbook.xml": "spreadsheetml.sheet.main", "xl/worksheets/sheet1.xml": "spreadsheetml.worksheet"}
            ),
            "_rels/.rels": _related("officeDocument xl/workbook.xml"),
            "xl/_rels/workbook.xml.rels": _related("worksheet worksheets/sheet1.xml"),
            "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{_RELATIONS}"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
        }
    )
