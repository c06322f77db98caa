from __future__ import annotations

import contextlib
import pickle
import random

import pytest

from dolly.ingest.convert import RULES, SUFFIXES, Refused, convert
from tests.ingest.convert.samples import LIMITS, archive, docx, lines, odt, paragraph, pdf

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PDF = pdf(lines(72, 700, ["Some words on one line", "and on another one."]))
DOCX = docx(paragraph("Some words."))
ODT = odt("<text:p>Some words.</text:p>")
HTML = b"<!doctype html><p>Some words.</p>"
XLSX = archive({"[Content_Types].xml": "<a/>", "xl/workbook.xml": "<a/>"})


def refused(content: bytes, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        convert(content, name, LIMITS)
    assert caught.value.rule in RULES
    return caught.value


def test_the_suffixes() -> None:
    assert {".md", ".markdown", ".html", ".htm", ".pdf", ".docx", ".odt", ".txt"} == SUFFIXES
    assert refused(b"x", "a.xlsx").rule == refused(b"x", "Makefile").rule == "unknown_kind"
    assert convert(b"x", "folder.d\\A.TXT", LIMITS).kind == "text"


@pytest.mark.parametrize(
    ("content", "name", "detail"),
    [
        (PNG, "a.pdf", "looks like a PNG picture, called .pdf"),
        (PNG, "a.md", "looks like a PNG picture, called .md"),
        (PDF, "a.docx", "looks like a PDF, called .docx"),
        (PDF, "a.txt", "looks like a PDF, called .txt"),
        (DOCX, "a.odt", "looks like a DOCX, called .odt"),
        (ODT, "a.html", "looks like an ODT, called .html"),
        (XLSX, "a.docx", "looks like an Excel file, called .docx"),
        (HTML, "a.pdf", "looks like HTML, called .pdf"),
        (DOCX[:60], "a.pdf", "looks like a ZIP archive, called .pdf"),
    ],
)
def test_a_name_that_says_something_else(content: bytes, name: str, detail: str) -> None:
    error = refused(content, name)
    assert (error.rule, error.detail) == ("wrong_extension", detail)


def test_texts_may_hold_html_and_speak_of_pdf() -> None:
    assert convert(HTML, "a.txt", LIMITS).markdown == HTML.decode()
    assert convert(b"A file begins with %PDF-1.7, 1 0 obj", "a.md", LIMITS).kind == "markdown"
    assert convert(b"junk before\n" + PDF, "a.pdf", LIMITS).kind == "pdf"


def test_the_limits() -> None:
    assert refused(b"", "a.pdf").rule == refused(b" \n", "a.md").rule == "no_text"
    for limits, rule in (
        (LIMITS._replace(max_bytes=3), "file_too_large"),
        (LIMITS._replace(max_characters=3), "too_many_characters"),
    ):
        with pytest.raises(Refused) as caught:
            convert(b"four", "a.md", limits)
        assert caught.value.rule == rule


def test_a_refusal_can_be_sent_between_processes() -> None:
    error = pickle.loads(pickle.dumps(Refused("no_text", "empty")))
    assert (error.rule, error.detail, str(error)) == ("no_text", "empty", "no_text: empty")


def test_nothing_but_a_refusal_comes_of_damaged_files() -> None:
    chance = random.Random(7)
    files = {"a.pdf": PDF, "a.docx": DOCX, "a.odt": ODT, "a.html": HTML, "a.md": b"---\ntitle: x\n---\n# y\n"}
    for name, content in files.items():
        for _ in range(40):
            damaged = bytearray(content[: chance.randrange(len(content)) + 1])
            for _ in range(chance.randrange(8)):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            with contextlib.suppress(Refused):
                found = convert(bytes(damaged), name, LIMITS)
                (found.markdown + found.title).encode()
