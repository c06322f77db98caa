"""PDF → Markdown from pdfium's text, sizes and positions; scripts and attachments are never opened."""

from __future__ import annotations

from collections.abc import Iterable

import pypdfium2 as pypdfium  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from dolly.ingest.convert.pdf.blocks import Block, Composer, markdown
from dolly.ingest.convert.pdf.furniture import without_furniture
from dolly.ingest.convert.pdf.layout import columns
from dolly.ingest.convert.pdf.page import PageContent, read_page
from dolly.ingest.convert.pdf.parts import ignored_parts, outline, title
from dolly.ingest.convert.pdf.styles import Styles
from dolly.ingest.convert.result import Converted, Limits, Refused

_END = b"%%EOF"
_END_WITHIN = 4_096
_MOST_UNMAPPED = 0.5
_NAMED = 5


def convert_pdf(content: bytes, limits: Limits) -> Converted:
    """Converts one PDF.

    Args:
        content: the file.
        limits: `max_pages` and `max_characters` count here.

    Raises:
        Refused: protected_file, damaged_file, too_many_pages, too_many_characters, scanned_file, garbled_text, no_text.
    """
    if _END not in content.rstrip(b"\0\r\n\t ")[-_END_WITHIN:]:
        raise Refused("damaged_file", "the end of the file is missing")
    document = _opened(content)
    try:
        count = len(document)
        if count > limits.max_pages:
            raise Refused("too_many_pages", f"{count} pages; at most {limits.max_pages} are read")
        contents, unread = _contents(document, count, limits)
        if len(unread) * 2 > count or not count:
            raise Refused("damaged_file", f"{len(unread)} of {count} pages can't be read")
        blocks, removed = _blocks(document, contents)
        text = markdown(blocks)
        if not text:
            raise _without_text(contents)
        notes = ignored_parts(document, content)
        notes += _losses(contents, unread, removed)
        heading = next((block.text for block in blocks if block.kind == "heading"), "")
        return Converted(text, title(document) or heading, "pdf", count, tuple(notes))
    finally:
        document.close()


def _opened(content: bytes) -> pypdfium.PdfDocument:
    try:
        return pypdfium.PdfDocument(content)
    except pypdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == pdfium.FPDF_ERR_PASSWORD:
            raise Refused("protected_file", "the PDF opens only with its password") from None
        raise Refused("damaged_file", "the PDF has no readable page tree") from None


def _contents(document: pypdfium.PdfDocument, count: int, limits: Limits) -> tuple[list[PageContent], list[int]]:
    """The pages that can be read, and the numbers of those that can't."""
    contents: list[PageContent] = []
    unread: list[int] = []
    characters = 0
    for index in range(count):
        page = read_page(document.raw, index)
        if page is None:
            unread.append(index + 1)
            continue
        contents.append(page)
        characters += page.characters
        # Line ends, page numbers and the like go, but not half of the text.
        if characters > 2 * limits.max_characters:
            raise Refused("too_many_characters", f"{characters} in {index + 1} of {count} pages")
    return contents, unread


def _blocks(document: pypdfium.PdfDocument, contents: list[PageContent]) -> tuple[list[Block], int]:
    pages, removed = without_furniture([content.page for content in contents])
    styles = Styles([segment for page in pages for segment in page.segments if segment.words], outline(document))
    composer = Composer(styles, [segment.text for page in pages for segment in page.segments])
    for page in pages:
        for rows in columns(page):
            composer.add(rows)
    blocks = composer.blocks
    blocks += [Block("text", text) for text in dict.fromkeys(text for content in contents for text in content.aside)]
    blocks += [Block("item", field, 1) for content in contents for field in content.fields]
    return blocks, removed


def _without_text(contents: list[PageContent]) -> Refused:
    if any(content.unmapped for content in contents):
        return Refused("garbled_text", "none of its letters has a known meaning")
    images = sum(content.page.image for content in contents)
    if images:
        return Refused("scanned_file", f"{images} of {len(contents)} pages hold only pictures")
    return Refused("no_text", f"{len(contents)} empty pages")


def _losses(contents: list[PageContent], unread: list[int], removed: int) -> list[str]:
    """What of the text is missing.

    Raises:
        Refused: garbled_text, if it is most of it.
    """
    unmapped, characters = sum(one.unmapped for one in contents), sum(one.characters for one in contents)
    if unmapped > _MOST_UNMAPPED * characters:
        raise Refused("garbled_text", f"{unmapped} of {characters} letters have no known meaning")
    notes = [f"letters without a known meaning left out: {unmapped}"] if unmapped else []
    if unread:
        notes.append(f"pages that can't be read: {_listed(unread)}")
    if pictures := [number for number, one in enumerate(contents, start=1) if one.page.image and not one.page.segments]:
        notes.append(f"pages that hold only pictures: {_listed(pictures)}")
    if removed:
        notes.append(f"running heads, feet and page numbers left out: {removed}")
    return notes


def _listed(numbers: Iterable[int]) -> str:
    names = [str(number) for number in numbers]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
