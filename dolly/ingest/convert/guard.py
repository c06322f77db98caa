"""Checks of an Office file's archive and XML before any parser sees them."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from xml.parsers import expat

from dolly.ingest.convert.result import Limits, Refused

_MOST_ENTRIES = 5_000
_MOST_RATIO = 100  # Apache POI's ZipSecureFile refuses more, too
_RATIO_FROM = 1 << 20  # bytes; a small file of equal lines may well shrink more
_CHUNK = 1 << 16
_ENCRYPTED = 1  # bit of the flags, APPNOTE 4.4.4
_MANIFEST = "META-INF/manifest.xml"
_XML_NAMES = (".xml", ".rels", ".rdf")
# "<" in each encoding that an XML parser may guess from the first bytes (XML 1.0, appendix F).
_XML_HEAD = re.compile(rb"(?:\xef\xbb\xbf|\xff\xfe(?:\0\0)?|\xfe\xff|\0\0\xfe\xff)?[\s\0]*<|\x4c\x6f\xa7\x94")


def checked_archive(content: bytes, limits: Limits) -> frozenset[str]:
    """Unpacks every entry once, in pieces, and looks at all that is XML.

    Args:
        content: the file.
        limits: the unpacked entries may take `max_memory_bytes` in all.

    Returns:
        The entries' names.

    Raises:
        Refused: damaged_file, protected_file, unsafe_xml, zip_bomb.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_entries(archive.infolist(), len(content), limits)
            if _MANIFEST in archive.namelist() and _says_encrypted(archive):
                raise Refused("protected_file", "the document opens only with its password")
            left = _most_bytes(len(content), limits)
            for entry in archive.infolist():
                left -= _check_entry(archive, entry, left)
            return frozenset(archive.namelist())
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise Refused("damaged_file", f"the document's archive is damaged: {str(error)[:80]}") from None


def _says_encrypted(archive: zipfile.ZipFile) -> bool:
    # OpenDocument itself encrypts its parts; the ZIP does not mark them (OpenDocument 1.2, part 3, 3.4).
    with archive.open(_MANIFEST) as manifest:
        return b"encryption-data" in manifest.read(_CHUNK * 16)


def _most_bytes(size: int, limits: Limits) -> int:
    return min(limits.max_memory_bytes, max(_RATIO_FROM, _MOST_RATIO * size))


def _check_entries(entries: list[zipfile.ZipInfo], size: int, limits: Limits) -> None:
    if len(entries) > _MOST_ENTRIES:
        raise Refused("zip_bomb", f"{len(entries)} parts")
    if any(entry.flag_bits & _ENCRYPTED for entry in entries):
        raise Refused("protected_file", "the document's parts are encrypted")
    for entry in entries:
        parts = entry.filename.replace("\\", "/").split("/")
        if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0]:
            raise Refused("damaged_file", f"a part's name leads out of the document: {entry.filename[:60]!a}")
    declared = sum(entry.file_size for entry in entries)
    if declared > _most_bytes(size, limits):
        raise Refused("zip_bomb", f"{size} bytes unpack to {declared}")


def _check_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> int:
    """How many bytes the entry unpacks to."""
    total = 0
    check: _XmlCheck | None = None
    for chunk in _chunks(archive, entry):
        if not total and (entry.filename.lower().endswith(_XML_NAMES) or _XML_HEAD.match(chunk)):
            check = _XmlCheck(entry.filename)
        total += len(chunk)
        if total > left:
            raise Refused("zip_bomb", f"{entry.filename[:60]!a} unpacks to more than it says")
        if check:
            check.feed(chunk)
    if check:
        check.close()
    return total


def _chunks(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with archive.open(entry) as part:
        while chunk := part.read(_CHUNK):
            yield chunk


class _XmlCheck:
    """Follows one XML part without building anything; expat stops at the first declaration of a type or entity."""

    def __init__(self, name: str) -> None:
        self._name = ascii(name[:60])
        self._parser = expat.ParserCreate()
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise Refused("unsafe_xml", f"{self._name} declares a document type or an entity")

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.Parse(chunk, False)
        except expat.ExpatError as error:
            raise self._damaged(error) from None

    def close(self) -> None:
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: expat.ExpatError) -> Refused:
        return Refused("damaged_file", f"{self._name} is no XML: {expat.errors.messages[error.code]}")
