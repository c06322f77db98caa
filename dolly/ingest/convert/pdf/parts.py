"""What a PDF says about itself, and which of its parts are not text."""

from __future__ import annotations

import re
from itertools import islice

import pypdfium2 as pypdfium  # type: ignore[import-untyped]
import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from dolly.ingest.convert.pdf.styles import heading_key

_LONGEST_TITLE = 300
_MOST_ENTRIES = 2_000
_MOST_NAMES = 5
_LONGEST_NAME = 80
_DEEPEST = 4
# What programs write when the author gave no title.
_NO_TITLE = re.compile(
    r"untitled.*|unbenannt.*|microsoft (?:word|powerpoint|excel) - .*|.*\.(?:docx?|pptx?|xlsx?|odt|pdf|indd|tex|dvi)",
    re.IGNORECASE,
)


def title(document: pypdfium.PdfDocument) -> str:
    """The title that the author gave, else ''."""
    try:
        text = document.get_metadata_value("Title")
    except (pypdfium.PdfiumError, UnicodeError):
        return ""
    text = _printable(text, _LONGEST_TITLE)
    return "" if _NO_TITLE.fullmatch(text) else text


def outline(document: pypdfium.PdfDocument) -> dict[str, int]:
    """Heading → level, from the document's bookmarks."""
    levels: dict[str, int] = {}
    try:
        for bookmark in islice(document.get_toc(max_depth=_DEEPEST), _MOST_ENTRIES):
            if key := heading_key(bookmark.get_title() or ""):
                levels.setdefault(key, min(bookmark.level + 1, _DEEPEST))
    except (pypdfium.PdfiumError, UnicodeError):
        pass
    return levels


def ignored_parts(document: pypdfium.PdfDocument, content: bytes) -> list[str]:
    """Notes on scripts and attachments; none of them is opened."""
    notes = []
    if pdfium.FPDFDoc_GetJavaScriptActionCount(document.raw) > 0 or b"/JavaScript" in content:
        notes.append("scripts ignored")
    count = pdfium.FPDFDoc_GetAttachmentCount(document.raw)
    if count > 0:
        names = [_attachment(document, index) for index in range(min(count, _MOST_NAMES))]
        notes.append(
            f"attachments ignored: {', '.join(names)}"
            + (f" and {count - _MOST_NAMES} more" if count > _MOST_NAMES else "")
        )
    return notes


def _attachment(document: pypdfium.PdfDocument, index: int) -> str:
    try:
        return _printable(document.get_attachment(index).get_name(), _LONGEST_NAME) or "without a name"
    except (pypdfium.PdfiumError, UnicodeError):
        return "without a name"


def _printable(text: str, longest: int) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:longest]
