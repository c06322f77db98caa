"""The fixes: what may be mended without a change of meaning, in the order in which it is done."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from dolly.clean.rules.encoding import (
    may_be_mojibake,
    may_have_entities,
    without_entities,
    without_escapes,
    without_mojibake,
)
from dolly.clean.rules.kinds import Fix, guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

    Change = Callable[[Column], Column]

REASONS = {
    "mojibake": "UTF-8 was read as Windows-1252 or Latin-1: Ã© for é",
    "html_entities": "HTML entities stood in prose: &amp; for &",
    "line_endings": "lines ended in \\r, \\r\\n or a Unicode line separator",
    "escape_sequences": 'line breaks, tabs or quotes were written as \\n, \\t, \\"',
    "control_characters": "the text had control characters or a terminal's colour codes",
    "byte_order_mark": "the text had a byte order mark",
    "zero_width": "the text had invisible characters that no script needs there",
    "bidi_controls": "the text had characters that change the direction of writing",
    "outer_whitespace": "white space stood around the text",
    "no_input_marker": "the context was only a marker for 'no input'",
}

_LINE_END = r"\r\n?|[\u2028\u2029]"
# Of a terminal: colours and cursor moves (CSI), window titles (OSC), character sets (ECMA-48).
_TERMINAL = r"\x1B(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1B]{0,200}(?:\x07|\x1B\\)|[()][A-Z0-9])?"
_CONTROL = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x9F]"
# Scripts whose letters join or break at ZWNJ and ZWJ (Hebrew to Myanmar, Mongolian, Arabic's forms),
# and what emoji are joined from. A look-behind of Java sees characters beyond U+FFFF only if its
# pattern has one as it is.
_JOINED = r"\u0590-\u109F\u1780-\u1CFF\uA800-\uABFF\uFB1D-\uFDFF\uFE0F\uFE70-\uFEFC\p{So}\p{Sk}🀀-\x{1FAFF}"
# Thai, Lao, Myanmar, Khmer: a zero-width space parts their words.
_UNSPACED = r"\u0E00-\u0EFF\u1000-\u109F\u1780-\u17FF"
_ZERO_WIDTH = (
    r"[\u00AD\u180E\u2060-\u2064\uFFF9-\uFFFB]"
    rf"|(?<![{_UNSPACED}])\u200B|\u200B(?![{_UNSPACED}])"
    rf"|(?<![{_JOINED}])[\u200C\u200D](?![{_JOINED}])"
    # Tag characters spell hidden text; only the flags of regions, black flag first, need them.
    r"|(?<![🏴\x{E0020}-\x{E007F}])[\x{E0000}-\x{E007F}]++"
)
_BIDI = r"[\u202A-\u202E\u2066-\u2069]"
_MARKS = r"[\u200E\u200F\u061C]"
_RIGHT_TO_LEFT = r"[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]"
_WHITE = " \t\n\x0b\f\r\u0085\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# What generated records write where there is no context, in any quoting and spelling.
_NO_INPUT = r"(?i)^[\W_]*(no[\W_]*input([\W_]*(required|needed|provided))?|n[\W_]*/[\W_]*a|none|nil|null|empty)[\W_]*$"
_NO_INPUT_BYTES = 200


def fixes() -> list[Fix]:
    """The fixes in the order in which they are applied."""
    from pyspark.sql import functions as F

    def rule(name: str, apply: Change, gate: Change, *, only_context: bool = False) -> Fix:
        return Fix(name, apply, REASONS[name], gate, only_context)

    def removed(pattern: str) -> Change:
        return lambda text: F.regexp_replace(text, pattern, "")

    return [
        rule("mojibake", without_mojibake, may_be_mojibake),
        rule("html_entities", without_entities, may_have_entities),
        rule("line_endings", lambda text: F.regexp_replace(text, _LINE_END, "\n"), _has_controls),
        rule("escape_sequences", without_escapes, lambda text: text.contains("\\")),
        rule("control_characters", removed(f"{_TERMINAL}|{_CONTROL}"), _has_controls),
        rule("byte_order_mark", removed("\ufeff"), _has_controls),
        rule("zero_width", removed(_ZERO_WIDTH), _has_controls),
        rule("bidi_controls", _without_bidi, _has_controls),
        rule("outer_whitespace", lambda text: F.btrim(text, F.lit(_WHITE)), _has_white_ends),
        rule("no_input_marker", _without_marker, _is_marker, only_context=True),
    ]


def _has_controls(text: Column) -> Column:
    """True where a text has control or invisible characters or a separator of lines.

    One class of characters: Java searches for it some five times faster than for a union of ranges.
    """
    from pyspark.sql import functions as F

    separators = text.contains("\u2028") | text.contains("\u2029")
    return text.rlike(r"[\p{C}&&[^\t\n]]") | guarded(F.octet_length(text) != F.length(text), separators)


def _has_white_ends(text: Column) -> Column:
    return reduce(or_, [text.startswith(white) | text.endswith(white) for white in _WHITE])


def _is_marker(text: Column) -> Column:
    from pyspark.sql import functions as F

    return guarded(F.octet_length(text).between(1, _NO_INPUT_BYTES), text.rlike(_NO_INPUT))


def _without_marker(context: Column) -> Column:
    from pyspark.sql import functions as F

    return F.when(_is_marker(context), F.lit("")).otherwise(context)


def _without_bidi(text: Column) -> Column:
    from pyspark.sql import functions as F

    # Right-to-left text needs the marks: they keep its numbers and brackets in place.
    pattern = F.when(text.rlike(_RIGHT_TO_LEFT), F.lit(_BIDI)).otherwise(F.lit(f"{_BIDI}|{_MARKS}"))
    has_marks = text.rlike(f"{_BIDI}|{_MARKS}")
    return F.when(has_marks, F.regexp_replace(text, pattern, F.lit(""))).otherwise(text)
