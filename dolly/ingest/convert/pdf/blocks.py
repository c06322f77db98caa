"""Rows of a document, in reading order → headings, paragraphs, list items, code and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise, takewhile
from statistics import median
from typing import NamedTuple

from dolly.ingest.convert.pdf.columns import aligned_table
from dolly.ingest.convert.pdf.layout import Row
from dolly.ingest.convert.pdf.styles import Styles
from dolly.ingest.convert.pdf.text import SOFT_HYPHEN

_BULLET = re.compile(r"([•‣◦▪▫●○■□➢➤✓✔❖∙·–—*-])\s+(?=\S)")
_NUMBER = re.compile(r"(?:\d{1,3}[.)]|\(?[a-z0-9]{1,3}\)|[a-z][.])\s+(?=\S)", re.IGNORECASE)
_ENDED = re.compile(r"[.!?:;…。؟।][\"'”’)\]»]*$")
_CUT_WORD = re.compile(rf"(\w+)[-\u2010{SOFT_HYPHEN}]$")
_LEADER = re.compile(r"\s*(?:[.·…_]\s?){4,}(?=\s*[\divxlc]+$)")
_HYPHENS = ("-", "\u2010", SOFT_HYPHEN)
_FIRST_WORD = re.compile(r"\w+")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_PARAGRAPH_GAP = 1.35  # of the distance between two lines
_HEADING_GAP = 1.7  # em
_INDENT = 0.7  # em
_LONGEST_WORD = 60  # letters at the end of a text that are looked at
_NARROWEST = 16.0  # em
_MOST_CODE_INDENT = 80


class Block(NamedTuple):
    """A piece of the document: `kind` is text, heading, item, number, code or table; `level` counts from 1."""

    kind: str
    text: str
    level: int = 0


class _Column:
    """What is usual for the rows of one column."""

    def __init__(self, rows: list[Row]) -> None:
        text = [row for row in rows if row.main.words] or rows
        self.left = min(row.x0 for row in text)
        # A column of a few short lines doesn't show how wide it is.
        least = self.left + _NARROWEST * median(row.main.size for row in text)
        self.right = max(least, max(row.x1 for row in rows))
        steps = [
            before.y0 - row.y0
            for before, row in pairwise(text)
            if before.main.size == row.main.size and 0 < before.y0 - row.y0 < 3 * row.main.size
        ]
        self.leading = median(steps) if steps else 0.0

    def gap(self, before: Row, row: Row) -> bool:
        leading = self.leading or 1.2 * row.main.size
        return before.y0 - row.y0 > _PARAGRAPH_GAP * max(leading, row.main.size)

    def indented(self, before: Row, row: Row) -> bool:
        indent = _INDENT * row.main.size
        return row.x0 - before.x0 > indent and before.x0 - self.left < indent

    def short(self, before: Row, row: Row) -> bool:
        """The next word would have fitted in, so the line was ended on purpose."""
        word = row.segments[0].words[0]
        if before.segments[-1].text.endswith(_HYPHENS):
            return False
        return before.x1 + (word.x1 - word.x0) + 0.8 * row.main.size < self.right


class Composer:
    """Takes columns one after another; `blocks` is what they make."""

    def __init__(self, styles: Styles, texts: Iterable[str]) -> None:
        self.blocks: list[Block] = []
        self._styles = styles
        self._texts = texts
        self._vocabulary: set[str] | None = None
        self._bullets: list[float] = []

    def add(self, rows: list[Row]) -> None:
        """Adds one column's rows."""
        column = _Column(rows)
        at, before = 0, None
        while at < len(rows):
            row = rows[at]
            used = self._special(rows, at)
            if used:
                at, before = at + used, None
                continue
            self._text_row(rows, at, before, column)
            at, before = at + 1, row

    def _special(self, rows: list[Row], at: int) -> int:
        """Adds a table or code that begins here; returns the number of its rows."""
        row = rows[at]
        if not row.main.words:
            self.blocks.append(Block("table", row.main.text))
            return 1
        if len(row.segments) > 1 and (aligned := aligned_table(rows[at:])):
            self.blocks.append(Block("table", aligned.markdown))
            return aligned.rows
        if not self._styles.mono_text:
            code = list(takewhile(_is_code, rows[at:]))
            if len(code) > 1:
                self.blocks.append(Block("code", _code(code)))
                return len(code)
        return 0

    def _text_row(self, rows: list[Row], at: int, before: Row | None, column: _Column) -> None:
        row, text = rows[at], rows[at].text
        if _LEADER.search(text):
            # A line of a table of contents.
            self.blocks.append(Block("number", _LEADER.sub(" ", text)))
            return
        last = self.blocks[-1] if self.blocks else Block("text", "")
        if level := self._heading(rows, at, before, column):
            same = before is not None and last.kind == "heading" and last.level == level
            near = before is not None and before.y0 - row.y0 < _HEADING_GAP * row.main.size
            if same and near and before and before.main.size == row.main.size and not _NUMBER.match(text):
                self.blocks[-1] = last._replace(text=self._joined(last.text, text))
            else:
                self.blocks.append(Block("heading", text, level))
        elif match := _BULLET.match(text):
            self.blocks.append(Block("item", text[match.end() :], self._item_level(row, last)))
        elif _NUMBER.match(text) and (before is None or last.kind == "number" or self._new(before, row, column, last)):
            self.blocks.append(Block("number", text))
        elif before is None:
            self._first(text, last)
        elif self._new(before, row, column, last):
            self.blocks.append(Block("text", text))
        elif column.short(before, row) and not text[:1].islower():
            self.blocks[-1] = last._replace(text=f"{last.text}\n{text}")
        else:
            self.blocks[-1] = last._replace(text=self._joined(last.text, text))

    def _heading(self, rows: list[Row], at: int, before: Row | None, column: _Column) -> int:
        row = rows[at]
        if _BULLET.match(row.text):
            return 0
        if level := self._styles.level(row):
            return 0 if before and level > 1 and self._under_title(before, row) else level
        following = rows[at + 1] if at + 1 < len(rows) else None
        if following is not None and following.main.bold and not column.gap(row, following):
            return 0
        apart = before is None or column.gap(before, row) or column.short(before, row)
        return self._styles.bold_level(row) if apart else 0

    def _under_title(self, before: Row, row: Row) -> bool:
        """Names and the like, centred below the title."""
        centred = abs((before.x0 + before.x1) - (row.x0 + row.x1)) < row.main.size and abs(before.x0 - row.x0) > 5
        return centred and not row.main.bold and self.blocks[-1].kind == "heading"

    def _new(self, before: Row, row: Row, column: _Column, last: Block) -> bool:
        """Does the row begin a paragraph, and not just a line?"""
        size, other = row.main.size, before.main.size
        if last.kind in ("heading", "table", "code") or column.gap(before, row) or abs(size - other) > 0.1 * size:
            return True
        if last.kind in ("item", "number"):
            ended = column.short(before, row) and not row.text[:1].islower()
            return ended or row.x0 < before.x0 - _INDENT * size
        if column.indented(before, row):
            return True
        return column.short(before, row) and _ended(last.text)

    def _first(self, text: str, last: Block) -> None:
        """The first row of a column or page goes on with the paragraph before it if that was not at its end."""
        open_end = last.kind in ("text", "item", "number") and last.text and not _ended(last.text)
        if open_end and (text[:1].islower() or last.text.endswith(SOFT_HYPHEN)):
            self.blocks[-1] = last._replace(text=self._joined(last.text, text))
        else:
            self.blocks.append(Block("text", text))

    def _item_level(self, row: Row, last: Block) -> int:
        if last.kind != "item":
            self._bullets = []
        near = 0.5 * row.main.size
        self._bullets = [indent for indent in self._bullets if indent < row.x0 - near]
        self._bullets.append(row.x0)
        return len(self._bullets)

    def _joined(self, text: str, following: str) -> str:
        """Two lines as one, with a word that was cut between them put together."""
        cut, first = _CUT_WORD.search(text[-_LONGEST_WORD:]), _FIRST_WORD.match(following)
        if not cut or not first or not (first.group()[0].islower() or text.endswith(SOFT_HYPHEN)):
            return f"{text} {following}"
        start, end = cut.group(1), first.group()
        if self._vocabulary is None:
            self._vocabulary = {word.lower() for line in self._texts for word in _WORD.findall(line)}
        whole, hyphened = (start + end).lower(), f"{start}-{end}".lower()
        known = hyphened in self._vocabulary and whole not in self._vocabulary
        keep = known or not start.isalpha() or not end[0].islower()
        return text[:-1] + ("-" if keep else "") + following


def _ended(text: str) -> bool:
    return bool(_ENDED.search(text[-_LONGEST_WORD:]))


def _is_code(row: Row) -> bool:
    return bool(row.main.mono and row.main.words and not _BULLET.match(row.text))


def _code(rows: list[Row]) -> str:
    """Lines of code with their indents, from the positions of their words."""
    words = [word for row in rows for segment in row.segments for word in segment.words]
    width = median((word.x1 - word.x0) / len(word.text) for word in words) or 1.0
    left = min(row.x0 for row in rows)
    step = median([a.y0 - b.y0 for a, b in pairwise(rows)])
    lines: list[str] = []
    for at, row in enumerate(rows):
        if at and rows[at - 1].y0 - row.y0 > 1.7 * step:
            lines.append("")
        line = ""
        for segment in row.segments:
            for word in segment.words:
                column = min(round((word.x0 - left) / width), len(line) + _MOST_CODE_INDENT)
                line += " " * max(column - len(line), 1 if line else 0) + word.text
        lines.append(line.replace(SOFT_HYPHEN, "-"))
    return "\n".join(lines)


def markdown(blocks: list[Block]) -> str:
    """The blocks as one Markdown text."""
    parts: list[str] = []
    for before, block in zip([Block("", ""), *blocks], blocks, strict=False):
        text = block.text.replace(SOFT_HYPHEN, "")
        if block.kind == "heading":
            text = f"{'#' * block.level} {text}"
        elif block.kind == "item":
            text = f"{'  ' * (block.level - 1)}- {text}"
        elif block.kind == "code":
            text = f"```\n{text}\n```"
        near = before.kind == block.kind and block.kind in ("item", "number")
        parts.append(("\n" if near else "\n\n") + text)
    return "".join(parts).strip()
