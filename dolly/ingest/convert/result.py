"""What a conversion is given and what it gives: limits, the Markdown, or the rule that refused the file."""

from __future__ import annotations

from typing import NamedTuple

RULES: dict[str, str] = {
    "binary_file": "the file is called a text but holds other bytes",
    "damaged_file": "the file is cut off or damaged",
    "file_too_large": "the file has more bytes than allowed",
    "garbled_text": "the file's fonts don't say which letters they show",
    "no_text": "the file holds no text",
    "not_utf8_file": "the text is in an encoding that the file doesn't name",
    "parser_died": "the parser crashed on this file",
    "parser_failed": "the parser gave up on this file",
    "parser_memory": "the file needs more memory than allowed",
    "parser_timeout": "the file needs more time than allowed",
    "protected_file": "the file needs a password",
    "scanned_file": "the file holds pictures of pages, no text",
    "too_many_characters": "the file holds more text than allowed",
    "too_many_pages": "the file has more pages than allowed",
    "unknown_kind": "no converter for files of this name",
    "unsafe_xml": "the file's XML declares a document type or entities",
    "wrong_extension": "the content is of another kind than the name says",
    "zip_bomb": "the file unpacks to far more than it should",
}


class Limits(NamedTuple):
    """What one file may cost.

    `max_bytes` and `max_pages` are of the file, `max_seconds` of wall-clock time, `max_memory_bytes`
    above what the idle converter needs, `max_characters` of the Markdown.
    """

    max_bytes: int
    max_pages: int
    max_seconds: float
    max_memory_bytes: int
    max_characters: int


class Converted(NamedTuple):
    """A document as Markdown.

    `title` is '' if there is none; `kind` is the content's format (`pdf`, `docx`, …); `pages` is None where the
    format has no pages; `notes` says what was left out.
    """

    markdown: str
    title: str
    kind: str
    pages: int | None
    notes: tuple[str, ...]


class Refused(Exception):
    """A file that gives no Markdown: `rule` is one of `RULES`, `detail` says what is wrong with this file."""

    def __init__(self, rule: str, detail: str) -> None:
        self.rule, self.detail = rule, detail
        super().__init__(rule, detail)

    def __str__(self) -> str:
        return f"{self.rule}: {self.detail}"
