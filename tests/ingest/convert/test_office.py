from __future__ import annotations

import pytest

from dolly.ingest.convert import Refused, convert
from tests.ingest.convert.samples import LIMITS, archive, docx, odt, paragraph

TABLE = (
    "<w:tbl>"
    + "".join(
        "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in (("Machine", "Load"), ("Crane", "1 | 2"))
    )
    + "</w:tbl>"
)


def refused(content: bytes, name: str) -> str:
    with pytest.raises(Refused) as caught:
        convert(content, name, LIMITS)
    return caught.value.rule


def test_a_docx_keeps_its_structure() -> None:
    link = '<w:hyperlink r:id="rId{}"><w:r><w:t>{}</w:t></w:r></w:hyperlink>'
    body = paragraph("Safety", "Title") + paragraph("Before", "H2") + paragraph("Put on the helmet_now.")
    body += paragraph("first", number=(0, 1)) + paragraph("nested", number=(1, 1)) + paragraph("one", number=(0, 2))
    body += TABLE + f"<w:p><w:r><w:rPr><w:b/></w:rPr><w:t>bold</w:t></w:r>{link.format(10, ' good')}"
    body += f"{link.format(11, ' bad')}<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
    body += '<w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    found = convert(docx(body, title="The title", links=("https://example.org", "javascript:x")), "a.docx", LIMITS)
    assert (found.title, found.kind, found.pages) == ("The title", "docx", None)
    assert found.markdown == (
        "# Safety\n\n## Before\n\nPut on the helmet_now.\n\n- first\n  - nested\n\n1. one\n\n"
        "| Machine | Load |\n| --- | --- |\n| Crane | 1 \\| 2 |\n\n"
        "**bold** [good](https://example.org) bad[1]\n\n1. The note."
    )


def test_an_odt_keeps_its_structure() -> None:
    styles = (
        '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
        '<style:style style:name="T1" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'
        '<text:list-style style:name="L1"><text:list-level-style-number text:level="1"/></text:list-style>'
    )
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    body = (
        "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        '<text:p text:style-name="P1">Safety</text:p><text:h text:outline-level="2">Before</text:h>'
        '<text:p>Put<text:s text:c="2"/>on <text:span text:style-name="T1">the</text:span>'
        '<text:a xlink:href="https://example.org"> helmet</text:a><text:note><text:note-citation>1'
        "</text:note-citation><text:note-body><text:p>The note.</text:p></text:note-body></text:note> &amp; "
        "&lt;b&gt;</text:p>"
        "<text:list><text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>nested</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>"
        '<text:list text:style-name="L1"><text:list-item><text:p>one</text:p></text:list-item></text:list>'
        f"<table:table><table:table-row>{cell.format('Machine')}{cell.format('Load')}</table:table-row>"
        f"<table:table-row>{cell.format('Crane')}{cell.format('1340')}</table:table-row></table:table>"
    )
    found = convert(odt(body, title="The title", styles=styles), "a.odt", LIMITS)
    assert (found.title, found.kind) == ("The title", "odt")
    assert found.markdown == (
        "# Safety\n\n## Before\n\nPut on **the** [helmet](https://example.org)[1] & <b>\n\n"
        "- first\n  - nested\n\n1. one\n\n| Machine | Load |\n| --- | --- |\n| Crane | 1340 |\n\n[1] The note."
    )


def test_a_cell_repeated_a_million_times_stays_small() -> None:
    cell = '<table:table-cell table:number-columns-repeated="1000000"><text:p>x</text:p></table:table-cell>'
    found = convert(odt(f"<table:table><table:table-row>{cell}</table:table-row></table:table>"), "a.odt", LIMITS)
    assert found.markdown.count("x") < 100


def test_pictures_and_macros_are_named_and_left() -> None:
    found = convert(
        docx(paragraph("x"), **{"word/media/a.png": "\x89PNG", "word/vbaProject.bin": "x"}), "a.docx", LIMITS
    )
    assert found.notes == ("macros ignored", "pictures left out: 1")


@pytest.mark.parametrize(
    "part",
    [
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        "<!DOCTYPE a><a/>",
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("name", ["word/document.xml", "word/hidden.bin"])
def test_document_types_and_entities_are_refused(part: str | bytes, name: str) -> None:
    assert refused(docx(paragraph("x"), **{name: part}), "a.docx") == "unsafe_xml"  # type: ignore[arg-type]


def test_bombs_are_refused_by_what_they_say_and_by_what_they_are() -> None:
    bomb = docx(paragraph("x"), **{"word/media/a.bin": "\0" * 30_000_000})
    assert refused(bomb, "a.docx") == "zip_bomb"
    place = bomb.rindex(b"PK\x01\x02", 0, bomb.rindex(b"word/media/a.bin"))
    lying = bytearray(bomb)
    lying[place + 24 : place + 28] = (1_000).to_bytes(4, "little")
    assert refused(bytes(lying), "a.docx") in ("zip_bomb", "damaged_file")
    assert refused(docx(paragraph("x"), **{f"word/{n}.xml": "<a/>" for n in range(5_001)}), "a.docx") == "zip_bomb"


def test_damage_is_refused() -> None:
    good = docx(paragraph("some words"))
    assert refused(good[:-30], "a.docx") == "damaged_file"
    assert refused(docx("<w:p>"), "a.docx") == "damaged_file"
    assert refused(docx(paragraph("x"), **{"../evil.xml": "<a/>"}), "a.docx") == "damaged_file"
    assert refused(archive({"[Content_Types].xml": "<a/>", "word/x.xml": "<a/>"}), "a.docx") == "damaged_file"


def test_passwords_are_refused() -> None:
    manifest = '<m:x xmlns:m="urn:x"><m:encryption-data/></m:x>'
    assert refused(odt("", **{"META-INF/manifest.xml": manifest}), "a.odt") == "protected_file"
    encrypted = bytearray(docx(paragraph("x")))
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(encrypted), "a.docx") == "protected_file"
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512
    assert refused(ole + "EncryptedPackage".encode("utf-16-le"), "a.docx") == "protected_file"
    assert refused(ole, "a.docx") == "wrong_extension"
