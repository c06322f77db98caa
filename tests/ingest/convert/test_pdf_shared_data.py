"""Real PDF and ODT files of many producers."""

from __future__ import annotations

import pytest

from dolly.ingest.convert import Converted, Refused, convert
from tests.ingest.convert.samples import LIMITS
from tests.support import SHARED

FILES = sorted((SHARED / "enterprise" / "pdf").glob("*.[po]d[ft]"))

pytestmark = pytest.mark.shared_data


def outcome(part: str) -> Converted:
    (path,) = [path for path in FILES if part in path.name]
    return convert(path.read_bytes(), path.name, LIMITS)


def test_what_can_be_read_and_what_not() -> None:
    refused = {}
    for path in FILES:
        try:
            convert(path.read_bytes(), path.name, LIMITS)
        except Refused as error:
            refused[path.name.split("_")[-1]] = error.rule
    assert refused == {
        "libreoffice-writer-password.pdf": "protected_file",
        "imagemagick-ASCII85Decode.pdf": "scanned_file",
        "imagemagick-CCITTFaxDecode.pdf": "scanned_file",
        "imagemagick-images.pdf": "scanned_file",
        "imagemagick-lzw.pdf": "scanned_file",
        "grayscale-image.pdf": "scanned_file",
    }


def test_two_columns_in_reading_order_without_page_numbers() -> None:
    found = outcome("multicolumn.pdf")
    assert found.markdown.startswith("# Two-Column Document with Lorem Ipsum")
    # The end of the first page's left column, and the beginning of its right one.
    assert "felis. Donec nonummy pellentesque ante. Phasellus" in found.markdown
    assert "consectetuer adipiscing elit" in found.markdown
    assert "| Austria | 8.9 | 83,879 | Vienna | German |" in found.markdown


def test_a_table_of_a_word_processor() -> None:
    found = outcome("google-doc-document.pdf")
    assert "| Capital | Jakarta | Berlin | Vienna | Paris | Vatican City |" in found.markdown
    assert "# Example document\n\nBeautiful is better than ugly.\n" in found.markdown


@pytest.mark.parametrize("part", ["habibi.pdf", "oneline-cmap.pdf", "habibi-rotated.pdf"])
def test_arabic_in_the_order_in_which_it_is_read(part: str) -> None:
    assert "habibi حَبيبي" in outcome(part).markdown


def test_headings_of_a_text_with_an_outline() -> None:
    headings = [line for line in outcome("pdflatex-outline.pdf").markdown.splitlines() if line.startswith("#")]
    names = ["Foo", "Bar", "Baz"] * 2 + ["Foo", "Bar", "Baz"]
    assert headings == ["# Contents", *[f"# {number} {name}" for number, name in enumerate(names, start=1)]]


def test_form_fields_attachment_and_odt() -> None:
    assert "- First Name: Alice" in outcome("libreoffice-form.pdf").markdown
    assert "attachments ignored: image.png" in outcome("with-attachment.pdf").notes
    assert outcome("012-libreoffice-form_libreoffice-form.odt").title == "Example for a Form"
    one, other = outcome("002-trivial-libre-office-writer_source.odt"), outcome("002-trivial-libre-office-writer.pdf")
    assert one.markdown.split() == other.markdown.split()
