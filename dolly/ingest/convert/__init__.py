"""Documents → Markdown: PDF, DOCX, ODT, HTML, Markdown and plain text.

Parsers of other people's files crash, hang and eat memory; `dolly.ingest.sandbox` runs `convert` in a process
that may.
"""

from __future__ import annotations

import re

from dolly.ingest.convert.kinds import KINDS, kind_of
from dolly.ingest.convert.result import RULES, Converted, Limits, Refused

__all__ = ["RULES", "SUFFIXES", "Converted", "Limits", "Refused", "convert"]

SUFFIXES = frozenset(KINDS)

_NOT_TEXT = re.compile("[\ud800-\udfff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def convert(content: bytes, name: str, limits: Limits) -> Converted:
    """Converts one file.

    Args:
        content: the whole file.
        name: the file's name; its suffix must fit the content.
        limits: what the file may cost; `max_seconds` is the sandbox's to keep.

    Raises:
        Refused: the file breaks one of `RULES`. There is no other exception, whatever the bytes are.
    """
    try:
        return _checked(_converted(content, name, limits), limits)
    except Refused:
        raise
    except MemoryError:
        raise Refused("parser_memory", "the parser ran out of memory") from None
    except RecursionError:
        raise Refused("parser_failed", "the document is nested too deeply") from None
    except Exception as error:  # the parsers raise almost anything on hostile bytes
        raise Refused("parser_failed", f"{type(error).__name__}: {ascii(str(error))[:120]}") from None


def _converted(content: bytes, name: str, limits: Limits) -> Converted:
    # Each format's parser is imported when its first file comes: a process that reads Markdown stays small.
    if len(content) > limits.max_bytes:
        raise Refused("file_too_large", f"{len(content)} bytes; at most {limits.max_bytes} are read")
    if not content.strip():
        raise Refused("no_text", "the file is empty")
    kind = kind_of(content, name)
    if kind == "pdf":
        from dolly.ingest.convert.pdf import convert_pdf

        return convert_pdf(content, limits)
    if kind in ("docx", "odt"):
        from dolly.ingest.convert.office import convert_docx, convert_odt

        text, title, notes = (convert_docx if kind == "docx" else convert_odt)(content, limits)
        return Converted(text, title, kind, None, tuple(notes))
    if kind == "html":
        from dolly.ingest.convert.html import convert_html

        text, title = convert_html(content)
        return Converted(text, title, kind, None, ())
    from dolly.ingest.convert.plain import decoded, markdown_file

    text = decoded(content)
    text, title = markdown_file(text) if kind == "markdown" else (text, "")
    return Converted(text, title, kind, None, ())


def _checked(converted: Converted, limits: Limits) -> Converted:
    """Checks and normalises the text of a converted file."""
    from dolly.ingest.convert.plain import first_heading

    text, title = converted.markdown, converted.title
    if converted.kind in ("markdown", "text"):
        text = _SURROGATE.sub("\ufffd", text)
    else:
        text = "\n".join([line.rstrip() for line in _NOT_TEXT.sub("", text).split("\n")]).strip()
        title = title or first_heading(text)
    if not text.strip():
        raise Refused("no_text", "nothing is left of the file as text")
    if len(text) > limits.max_characters:
        raise Refused("too_many_characters", f"{len(text)} characters; at most {limits.max_characters} are kept")
    title = " ".join(_NOT_TEXT.sub("", title).split())
    return converted._replace(markdown=text, title=title)
