"""PDF with as little in it as its readers need."""

from __future__ import annotations

PICTURE = ") Tj ET q 612 0 0 792 0 0 cm BI /W 2 /H 2 /CS /G /BPC 8 /F /AHx ID 00ffff00> EI Q BT ("
"""Covers a page of ``pdf_saying``, as a scan does."""
CURVES = ") Tj ET 72 72 m 400 700 l 500 72 l f BT ("


def pdf_drawing(*pages: str) -> bytes:
    """Write a PDF of pages of 612 × 792 points, each drawn by a content stream. Its fonts are F1, Helvetica, and F2, the bold one."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica-Bold>>",
    ]
    for number, stream in enumerate(pages):
        box = "/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R/F2 4 0 R>>>>"
        objects += [
            f"<</Type/Page/Parent 2 0 R{box}/Contents {6 + 2 * number} 0 R>>",
            f"<</Length {len(stream)}>>stream\n{stream}\nendstream",
        ]
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
    return (body + end).encode()


def pdf_saying(*pages: str) -> bytes:
    """Write a PDF with a line of text on each page."""
    return pdf_drawing(*(f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET" for page in pages))


def locked(pdf: bytes) -> bytes:
    """Say that a PDF is encrypted, with a password that is not the empty one."""
    keys = f"/Filter/Standard/V 1/R 2/P -4/O<{'00' * 32}>/U<{'11' * 32}>"
    return pdf.replace(b"trailer<<", f"trailer<</ID[<00><00>]/Encrypt<<{keys}>>".encode())
