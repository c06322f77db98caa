"""What the sizes and weights of a PDF's letters mean: which lines are headings, and of which level."""

from __future__ import annotations

import re
from collections import Counter

from dolly.ingest.convert.pdf.layout import Row, Segment

_LARGER = 1.12  # Word's second heading is 13 points above a text of 11
_ALIKE = 1.04
_MOST_LEVELS = 4
_MOST_HEADING_SHARE = 0.3
_LONGEST_HEADING = 200
_LONGEST_BOLD_HEADING = 100
_NUMBERING = re.compile(r"^(?:\d+\.?)+\s+")
_DATE = re.compile(r".{0,20}\b(19|20)\d\d")


class Styles:
    """The document's body size, and its heading sizes by level."""

    def __init__(self, segments: list[Segment], outline: dict[str, int]) -> None:
        self._outline = outline
        sizes: Counter[float] = Counter()
        bold = mono = 0
        for segment in segments:
            sizes[round(segment.size * 2) / 2] += len(segment.text)
            bold += len(segment.text) * segment.bold
            mono += len(segment.text) * segment.mono
        total = max(1, sum(sizes.values()))
        self.body = sizes.most_common(1)[0][0] if sizes else 0.0
        self.bold_text = bold > _MOST_HEADING_SHARE * total
        self.mono_text = mono > total / 2
        self._levels: list[float] = []
        larger = sorted((size for size in sizes if size >= _LARGER * self.body), reverse=True)
        if sum(sizes[size] for size in larger) <= _MOST_HEADING_SHARE * total:
            for size in larger:
                if not self._levels or self._levels[-1] > _ALIKE * size:
                    self._levels.append(size)

    def level(self, row: Row) -> int:
        """The heading level that the row's size or the document's outline gives it, 0 for none."""
        size = row.main.size
        if size < _LARGER * self.body or not self._levels:
            return self._outline.get(heading_key(row.text), 0) if self._outline else 0
        if not _can_be_heading(row.text, _LONGEST_HEADING):
            return 0
        nearest = min(range(len(self._levels)), key=lambda at: abs(self._levels[at] - size))
        return min(nearest + 1, _MOST_LEVELS)

    def bold_level(self, row: Row) -> int:
        """The level of a bold line that stands alone, 0 if it can't be a heading."""
        if self.bold_text or len(row.segments) > 1 or not row.main.bold or row.text.endswith((".", ",", ";")):
            return 0
        return (
            min(max(2, len(self._levels) + 1), _MOST_LEVELS + 1)
            if _can_be_heading(row.text, _LONGEST_BOLD_HEADING)
            else 0
        )


def heading_key(text: str) -> str:
    """The text without its number and case, as an outline and a page may differ in them."""
    return " ".join(_NUMBERING.sub("", text).casefold().split())


def _can_be_heading(text: str, longest: int) -> bool:
    return len(text) <= longest and sum(map(str.isalpha, text)) >= 2 and not _DATE.fullmatch(text)
