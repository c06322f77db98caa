"""Small documents, made by hand so that the tests need no program that writes them."""

from __future__ import annotations

import io
import zipfile
import zlib

from dolly.ingest.convert import Limits

LIMITS = Limits(
    max_bytes=20_000_000, max_pages=50, max_seconds=20.0, max_memory_bytes=500_000_000, max_characters=1_000_000
)

_FONTS = {"F1": "Helvetica", "F2": "Helvetica-Bold", "F3": "Courier"}
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def text(x: float, y: float, words: str, size: float = 10, font: str = "F1") -> str:
    """One line of text on a PDF page."""
    escaped = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET\n"


def lines(x: float, y: float, rows: list[str], size: float = 10, font: str = "F1") -> str:
    return "".join(text(x, y - 1.2 * size * at, row, size, font) for at, row in enumerate(rows))


def pdf(*pages: str, catalog: str = "", info: str = "", compressed: bool = False) -> bytes:
    """A PDF of A4 pages, each given as its content stream."""
    fonts = " ".join(
        f"/{key} << /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"
        for key, name in _FONTS.items()
    )
    objects = [f"<< /Type /Catalog /Pages 2 0 R {catalog} >>".encode()]
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(f"<< {info} >>".encode())
    for at, content in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * at} 0 R "
            f"/Resources << /Font << {fonts} >> >> >>".encode()
        )
        stream = content.encode("cp1252")
        entries = ""
        if compressed:
            stream, entries = zlib.compress(stream, 9), "/Filter /FlateDecode"
        objects.append(f"<< /Length {len(stream)} {entries} >>\nstream\n".encode() + stream + b"\nendstream")
    return pdf_file(objects)


def pdf_file(objects: list[bytes]) -> bytes:
    out, places = b"%PDF-1.7\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
        + b"trailer\n<< /Size %d /Root 1 0 R /Info 3 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    )


def archive(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return buffer.getvalue()


def paragraph(words: str, style: str = "", number: tuple[int, int] | None = None) -> str:
    """A DOCX paragraph; `number` is (level, list id)."""
    properties = f'<w:pStyle w:val="{style}"/>' if style else ""
    if number:
        properties += f'<w:numPr><w:ilvl w:val="{number[0]}"/><w:numId w:val="{number[1]}"/></w:numPr>'
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{words}</w:t></w:r></w:p>'


def docx(body: str, *, title: str = "", links: tuple[str, ...] = (), **more: str) -> bytes:
    """A DOCX; list 1 has bullets, list 2 has numbers; `links` are rId10, rId11, …"""
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in {"Title": "Title", "H1": "heading 1", "H2": "heading 2"}.items()
    )
    levels = {1: "bullet", 2: "decimal"}
    numbering = "".join(
        f'<w:abstractNum w:abstractNumId="{key}">'
        + "".join(f'<w:lvl w:ilvl="{level}"><w:numFmt w:val="{kind}"/></w:lvl>' for level in (0, 1))
        + "</w:abstractNum>"
        for key, kind in levels.items()
    ) + "".join(f'<w:num w:numId="{key}"><w:abstractNumId w:val="{key}"/></w:num>' for key in levels)
    related = "".join(
        f'<Relationship Id="{name}" Type="{_R}/{name}" Target="{name}.xml"/>'
        for name in ("styles", "numbering", "footnotes")
    ) + "".join(
        f'<Relationship Id="rId{number}" Type="{_R}/hyperlink" Target="{target}" TargetMode="External"/>'
        for number, target in enumerate(links, start=10)
    )
    relationships = f'<Relationships xmlns="{_PACKAGE}/relationships">'
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": f'{relationships}<Relationship Id="r" Type="{_R}/officeDocument" Target="word/document.xml"/>'
        "</Relationships>",
        "word/document.xml": f'<w:document {_W} xmlns:r="{_R}"><w:body>{body}</w:body></w:document>',
        "word/_rels/document.xml.rels": f"{relationships}{related}</Relationships>",
        "word/styles.xml": f"<w:styles {_W}>{styles}</w:styles>",
        "word/numbering.xml": f"<w:numbering {_W}>{numbering}</w:numbering>",
        "word/footnotes.xml": f'<w:footnotes {_W}><w:footnote w:id="2">{paragraph("The note.")}</w:footnote>'
        "</w:footnotes>",
    }
    if title:
        parts["docProps/core.xml"] = f'<p xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></p>'
    return archive(parts | more)


def odt(body: str, *, title: str = "", styles: str = "", **more: str) -> bytes:
    names = ("office", "text", "table", "style", "drawing", "meta")
    spaces = " ".join(f'xmlns:{"draw" if name == "drawing" else name}="{_ODF}:{name}:1.0"' for name in names)
    spaces += f' xmlns:fo="{_ODF}:xsl-fo-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
    spaces += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return archive(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {spaces}><office:automatic-styles>{styles}"
            f"</office:automatic-styles><office:body><office:text>{body}</office:text></office:body>"
            "</office:document-content>",
            "meta.xml": f"<office:document-meta {spaces}><dc:title>{title}</dc:title></office:document-meta>",
        }
        | more
    )
