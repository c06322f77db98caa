"""One page of a PDF → lines of words with their positions, sizes and styles.

pdfium gives the page's text in one call, with line ends; only the ends of each word are asked for their
places, which is what keeps a page at about a millisecond.
"""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

SOFT_HYPHEN = "\u00ad"

Box = tuple[float, float, float, float]

_PDFIUM_HYPHEN = "\ufffe"
_TOKEN = re.compile(r"\r\n?|\n|\ufffe|[^\s\ufffe]+")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_FIXED_PITCH = 1  # PDF 32000-1, table 123
_NAME_BYTES = 128
_BOLD = re.compile(rb"bold|black|heavy|demi|-(?:medi|bd)$|cmbx?\d|sfbx", re.IGNORECASE)
_MONO = re.compile(
    rb"mono|nimbusmon|cour|consol|menlo|typewriter|teletype|code|(?:cm|cmsl|lm|sf|ec|tx)tt", re.IGNORECASE
)
# Word's and LibreOffice's list bullets are letters of the Symbol and Wingdings fonts.
_BULLETS = dict.fromkeys(map(ord, "\uf06c\uf06e\uf076\uf09f\uf0a7\uf0a8\uf0b7\uf0d8\uf0e0\uf0fc"), "•")
_LIGATURES = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFB00, 0xFB07)}
_PLAIN = _BULLETS | _LIGATURES | {0x00AD: "", 0x200B: "", 0xFEFF: ""}
# A glyph of lam and alef is drawn as one; no font has the reverse pair as one glyph.
_LAM, _ALEFS = "\u0644", "\u0622\u0623\u0625\u0627\u0671"


class Word(NamedTuple):
    """A word and its box in points; y grows upwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


class Line(NamedTuple):
    """Words that the page sets on one base line, in logical order; `size` in points."""

    words: list[Word]
    size: float
    bold: bool
    mono: bool


class PageText(NamedTuple):
    """A page's upright lines, the text that runs in another direction, and how well it could be read.

    `turns` is the direction of most text in quarters of a turn; `lines` are turned back by it.
    """

    lines: list[Line]
    aside: list[str]
    turns: int
    right_to_left: bool
    characters: int
    unmapped: int


def page_text(textpage: Any) -> PageText:
    """Reads one page.

    Args:
        textpage: pdfium's raw text page.
    """
    count = max(0, pdfium.FPDFText_CountChars(textpage))
    text = _whole_text(textpage, count)
    reader = _Reader(textpage, text, count)
    lines: list[tuple[int | None, Line]] = []
    words: list[Word] = []
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token[0] in "\r\n" or token == _PDFIUM_HYPHEN:
            if words and token == _PDFIUM_HYPHEN:
                words[-1] = words[-1]._replace(text=words[-1].text + SOFT_HYPHEN)
            if words:
                lines.append(reader.line(words))
                words = []
        elif word := reader.word(token, match.start(), first=not words):
            words.append(word)
    if words:
        lines.append(reader.line(words))
    return _upright(lines, text, len(text.split()) and count, reader.unmapped)


def _whole_text(textpage: Any, count: int) -> str:
    if not count:
        return ""
    buffer = (ctypes.c_ushort * (count * 2 + 2))()
    # The count of UTF-16 units that it writes includes the closing zero.
    units = pdfium.FPDFText_GetText(textpage, 0, count, buffer)
    return bytes(buffer)[: max(0, units - 1) * 2].decode("utf-16-le", "replace")


class _Reader:
    """The calls into pdfium for one page, with the structures that they fill made once."""

    def __init__(self, textpage: Any, text: str, count: int) -> None:
        self._page = textpage
        self._first, self._last = pdfium.FS_RECTF(), pdfium.FS_RECTF()
        self._matrix = pdfium.FS_MATRIX()
        self._name = ctypes.create_string_buffer(_NAME_BYTES)
        self._flags = ctypes.c_int()
        self._box: Callable[[Any, int, Any], int] = pdfium.FPDFText_GetLooseCharBox
        # Characters that pdfium leaves out of the text shift the two counts against each other.
        self._shifted = len(text) != count
        self._doubtful = False
        self._styles: dict[bytes, tuple[bool, bool]] = {}
        self._starts: list[int] = []
        self.unmapped = 0

    def _index(self, at: int) -> int:
        return int(pdfium.FPDFText_GetCharIndexFromTextIndex(self._page, at)) if self._shifted else at

    def word(self, token: str, at: int, *, first: bool) -> Word | None:
        """The word at index `at` of the text; None if none of its letters is known."""
        start = self._index(at)
        end = self._index(at + len(token) - 1)
        a, b = self._first, self._last
        self._box(self._page, start, a)
        self._box(self._page, end, b)
        if first:
            self._starts = []
            self._doubtful = bool(pdfium.FPDFText_HasUnicodeMapError(self._page, start))
        self._starts.append(start)
        box = (
            a.left if a.left < b.left else b.left,
            a.bottom if a.bottom < b.bottom else b.bottom,
            a.right if a.right > b.right else b.right,
            a.top if a.top > b.top else b.top,
        )
        if self._doubtful or not token.isascii():
            token, box = self._repaired(token, at, box)
        return Word(token, *box) if token else None

    def _repaired(self, token: str, start: int, box: Box) -> tuple[str, Box]:
        """Without the letters that the font doesn't name; right-to-left ligatures in logical order."""
        clusters: list[tuple[str, Box]] = []
        for offset, letter in enumerate(token):
            at = self._index(start + offset)
            if pdfium.FPDFText_HasUnicodeMapError(self._page, at) or _meaningless(letter):
                self.unmapped += 1
                continue
            self._box(self._page, at, self._last)
            here = (self._last.left, self._last.bottom, self._last.right, self._last.top)
            if clusters and here == clusters[-1][1] and _RTL.match(letter):
                clusters[-1] = (clusters[-1][0] + letter, here)
            else:
                clusters.append((letter, here))
        text = "".join([cluster for cluster, _ in clusters])
        if _RTL.search(text):
            text = unicodedata.normalize("NFKC", _logical(clusters))
            lefts, bottoms, rights, tops = zip(*(corners for _, corners in clusters), strict=True)
            box = min(lefts), min(bottoms), max(rights), max(tops)
        return text.translate(_PLAIN), box

    def line(self, words: list[Word]) -> tuple[int | None, Line]:
        """The words as a line, with its direction in quarters of a turn, None if it is aslant."""
        # The first word may be a bullet or a catchword in another style.
        at = self._starts[len(self._starts) // 2]
        pdfium.FPDFText_GetMatrix(self._page, at, self._matrix)
        size = pdfium.FPDFText_GetFontSize(self._page, at) * math.hypot(self._matrix.c, self._matrix.d)
        bold, mono = self._style(at)
        if bold or mono:
            last_bold, last_mono = self._style(self._starts[-1])
            bold, mono = bold and last_bold, mono and last_mono
        quarters = pdfium.FPDFText_GetCharAngle(self._page, at) / (math.pi / 2)
        # pdfium counts clockwise.
        turns = None if abs(quarters - round(quarters)) > 0.05 else -round(quarters) % 4
        return turns, Line(words, round(size, 1), bold, mono)

    def _style(self, at: int) -> tuple[bool, bool]:
        """(bold, of fixed width), by the font's name, as its flags are often not set."""
        length = pdfium.FPDFText_GetFontInfo(self._page, at, self._name, _NAME_BYTES, self._flags)
        name = self._name.value if 0 < length <= _NAME_BYTES else b""
        if (known := self._styles.get(name)) is None:
            known = self._styles[name] = (bool(_BOLD.search(name)), bool(_MONO.search(name)))
        return known[0], known[1] or bool(self._flags.value & _FIXED_PITCH)


def _meaningless(letter: str) -> bool:
    code = ord(letter)
    return (0xE000 <= code <= 0xF8FF and code not in _BULLETS) or code == 0xFFFD or code < 32


def _logical(clusters: list[tuple[str, Box]]) -> str:
    """A word, given as glyphs, with its right-to-left letters in the order in which they are read.

    pdfium turns words round where it takes them for right-to-left ones, and then also the letters of one glyph;
    where it doesn't, as in what Chrome prints, they run with growing x.
    """
    parts: list[str] = []
    for right_to_left, group in groupby(clusters, key=lambda cluster: bool(_RTL.match(cluster[0]))):
        run = list(group)
        steps = [other[1][0] - one[1][0] for one, other in pairwise(run)]
        if right_to_left and sum(step > 0 for step in steps) > sum(step < 0 for step in steps):
            parts += [text for text, _ in reversed(run)]
        else:
            parts += [_turned_round(text) if len(text) > 1 else text for text, _ in run]
    return "".join(parts)


def _turned_round(glyph: str) -> str:
    """The letters of one glyph; a pair that is already in order came from a ligature's own code point."""
    ordered = glyph[0] == _LAM and glyph[1] in _ALEFS
    marked = unicodedata.combining(glyph[1]) and not unicodedata.combining(glyph[0])
    return glyph if len(glyph) == 2 and (ordered or marked) else glyph[::-1]


def _upright(turned_lines: list[tuple[int | None, Line]], text: str, count: int, unmapped: int) -> PageText:
    directions: Counter[int] = Counter()
    for turns, line in turned_lines:
        if turns is not None:
            directions[turns] += len(line.words)
    main = directions.most_common(1)[0][0] if directions else 0
    lines = [_turned(line, main) if main else line for turns, line in turned_lines if turns == main]
    aside = [" ".join(word.text for word in line.words) for turns, line in turned_lines if turns != main]
    right_to_left = len(_RTL.findall(text)) * 2 > sum(map(str.isalpha, text)) if _RTL.search(text) else False
    return PageText(lines, aside, main, right_to_left, count, unmapped)


def turned(box: Box, turns: int) -> Box:
    """A box (x0, y0, x1, y1) after the page was turned so that text at `turns` quarters stands upright."""
    x0, y0, x1, y1 = box
    if turns == 1:
        return y0, -x1, y1, -x0
    if turns == 2:
        return -x1, -y1, -x0, -y0
    return (-y1, x0, -y0, x1) if turns == 3 else box


def _turned(line: Line, turns: int) -> Line:
    return line._replace(words=[Word(word.text, *turned(word[1:], turns)) for word in line.words])
