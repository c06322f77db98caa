"""DOCX and ODT → Markdown; pictures are left out, macros are never run."""

from __future__ import annotations

import io
import re
import zipfile
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import mammoth  # type: ignore[import-untyped]

from dolly.ingest.convert.guard import checked_archive
from dolly.ingest.convert.html import html_markdown
from dolly.ingest.convert.odt import odt_html
from dolly.ingest.convert.result import Limits, Refused

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Quote'] => blockquote > p:fresh
"""
_DC_TITLE = "{http://purl.org/dc/elements/1.1/}title"
_LONGEST_TITLE = 300
_BACK_TO_NOTE = re.compile(r'<a href="#(?:foot|end)note-ref-[^"]*">↑</a>')
_MACRO = re.compile(r"vbaProject\.bin$|^Basic/|^Scripts/")


def convert_docx(content: bytes, limits: Limits) -> tuple[str, str, list[str]]:
    """(Markdown, title or '', notes).

    Raises:
        Refused: as `checked_archive`, or damaged_file.
    """
    names = checked_archive(content, limits)
    try:
        result = mammoth.convert_to_html(
            io.BytesIO(content),
            style_map=_STYLES,
            convert_image=lambda _: [],
            include_embedded_style_map=False,
            external_file_access=False,
        )
    except (LookupError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise Refused("damaged_file", f"a part is missing or wrong: {str(error)[:80]}") from None
    text, _ = html_markdown(_BACK_TO_NOTE.sub("", result.value))
    return text, _title(_part(content, "docProps/core.xml", names)), _notes(names)


def convert_odt(content: bytes, limits: Limits) -> tuple[str, str, list[str]]:
    """(Markdown, title or '', notes).

    Raises:
        Refused: as `checked_archive`, or damaged_file.
    """
    names = checked_archive(content, limits)
    root = _part(content, "content.xml", names)
    if root is None:
        raise Refused("damaged_file", "the document has no content")
    text, _ = html_markdown(odt_html(root, _part(content, "styles.xml", names)))
    return text, _title(_part(content, "meta.xml", names)), _notes(names)


def _part(content: bytes, part: str, names: frozenset[str]) -> Element | None:
    if part not in names:
        return None
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        # Its XML has been checked: no document type, no entities.
        return ElementTree.fromstring(archive.read(part))


def _title(properties: Element | None) -> str:
    element = next(properties.iter(_DC_TITLE), None) if properties is not None else None
    return " ".join((element.text or "").split())[:_LONGEST_TITLE] if element is not None else ""


def _notes(names: frozenset[str]) -> list[str]:
    """Parts of the document that its text lacks."""
    notes = ["macros ignored"] if any(_MACRO.search(name) for name in names) else []
    if pictures := sum(name.startswith(("word/media/", "Pictures/")) for name in names):
        notes.append(f"pictures left out: {pictures}")
    return notes
