"""What a file's first bytes say it is, against what its name says."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import PurePosixPath

from dolly.ingest.convert.result import Refused

KINDS = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".odt": "odt",
}

_TEXTS = ("markdown", "text", "html")
_ZIPS = ("docx", "odt")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PDF = re.compile(rb"%PDF-\d")
_PDF_WITHIN = 1_024  # PDF 32000-1, annex H, note 13
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_HEAD = 4_096
_OFFICE = (("word/", "docx", "a DOCX"), ("xl/", None, "an Excel file"), ("ppt/", None, "slides"))
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"RIFF", "a RIFF file (picture or sound)"),
    (b"{\\rtf", "rich text (RTF)"),
    (_OLE, "an old Office file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3\0", "a SQLite database"),
    (b"%!PS", "PostScript"),
)


def kind_of(content: bytes, name: str) -> str:
    """The kind that both name and content agree on.

    Raises:
        Refused: unknown_kind, wrong_extension, protected_file, damaged_file.
    """
    suffix = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    kind = KINDS.get(suffix)
    if kind is None:
        raise Refused("unknown_kind", f"no converter for {suffix[:20] or 'files without a suffix'}")
    if kind in _ZIPS and content.startswith(_OLE) and "EncryptedPackage".encode("utf-16-le") in content:
        raise Refused("protected_file", "the document opens only with its password")
    content_kind, described = _kind_by_content(content, kind)
    if content_kind == kind or (content_kind in (None, "html") and (content_kind or not described) and kind in _TEXTS):
        return kind
    if described:
        raise Refused("wrong_extension", f"looks like {described}, called {suffix}")
    raise Refused("damaged_file", f"the file doesn't begin as a {kind.upper()} file does")


def _kind_by_content(content: bytes, named: str) -> tuple[str | None, str]:
    """(kind or None, description or '' if unknown)."""
    head = content[:_HEAD]
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_kind(content, named)
    for magic, described in _MAGIC:
        if head.startswith(magic):
            return None, described
    # A PDF may have bytes before its mark; a text may merely mention the mark.
    if _PDF.match(head) or (named == "pdf" and _PDF.search(head[:_PDF_WITHIN])):
        return "pdf", "a PDF"
    if _HTML.match(head):
        return "html", "HTML"
    return None, ""


def _zip_kind(content: bytes, named: str) -> tuple[str | None, str]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = set(archive.namelist())
            mimetype = _beginning(archive, "mimetype") if "mimetype" in names else b""
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError):
        if named not in _ZIPS:
            return None, "a ZIP archive"
        raise Refused("damaged_file", "the document's archive can't be read") from None
    if "[Content_Types].xml" in names:
        for folder, kind, described in _OFFICE:
            if any(name.startswith(folder) for name in names):
                return kind, described
    if mimetype.startswith(b"application/vnd.oasis.opendocument.text"):
        return "odt", "an ODT"
    return None, "another OpenDocument file" if mimetype else "a ZIP archive"


def _beginning(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as part:
        return part.read(_HEAD)
